/** Undo and redo. Register one with shortcuts.history(…) and Mod+Z is yours while the page is shown. */

export interface Step {
  undo: () => void
  redo: () => void
  /** Steps of one key that follow each other quickly are one step, as of a slider that is dragged. */
  key?: string
}

const LIMIT = 200
const QUICKLY = 800 // milliseconds

/** Of what has been done: history.push({undo, redo}). For pixels and lists, where each step knows its way back. */
export class History {
  #past = $state.raw<Step[]>([])
  #future = $state.raw<Step[]>([])
  #at = 0

  canUndo = $derived(this.#past.length > 0)
  canRedo = $derived(this.#future.length > 0)

  /** Remember what has been done already. */
  push(step: Step): void {
    const last = this.#past.at(-1)
    const now = Date.now()
    if (step.key && last?.key === step.key && now - this.#at < QUICKLY) {
      this.#past = [...this.#past.slice(0, -1), { ...step, undo: last.undo }]
    } else this.#past = [...this.#past.slice(1 - LIMIT), step]
    this.#at = now
    this.#future = []
  }

  /** Do it, and remember. */
  do(step: Step): void {
    step.redo()
    this.push(step)
  }

  undo(): void {
    const step = this.#past.at(-1)
    if (!step) return
    this.#past = this.#past.slice(0, -1)
    this.#future = [...this.#future, step]
    this.#at = 0
    step.undo()
  }

  redo(): void {
    const step = this.#future.at(-1)
    if (!step) return
    this.#future = this.#future.slice(0, -1)
    this.#past = [...this.#past, step]
    this.#at = 0
    step.redo()
  }

  clear(): void {
    this.#past = []
    this.#future = []
  }
}

/** Of a value that is replaced as a whole: values.set({...values.now, seed: 3}, 'seed'). */
export class Values<T> {
  now: T
  readonly history: History

  constructor(first: T, history = new History()) {
    this.now = $state.raw(first)
    this.history = history
  }

  /** key: values set quickly under one key are one step. */
  set(value: T, key?: string): void {
    const before = this.now
    this.now = value
    this.history.push({ undo: () => (this.now = before), redo: () => (this.now = value), key })
  }
}
