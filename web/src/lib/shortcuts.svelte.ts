/** Keys: 'g p' is one after the other, 'Mod+Z' is Ctrl or ⌘, '?' and 'Escape' are as browsers name them. */

import type { History } from './history.svelte'
import type { Key } from './i18n.svelte'

export interface Shortcut {
  keys: string
  /** What it does, as a key of i18n. */
  label: Key
  run: (event: KeyboardEvent) => void
  /** Heading on the sheet, as a key of i18n: 'shell.everywhere' if not given. */
  scope?: Key
  /** Also while a text field has the focus. */
  inText?: boolean
  /** Also while a dialog or a menu is open, which otherwise has the keyboard. */
  inDialog?: boolean
  /** Where it is not to be taken, the key does what it does otherwise. */
  when?: () => boolean
  /** For keys that are held: called when the key is let go. */
  up?: () => void
}

const PATIENCE = 900 // milliseconds between two keys of a sequence
const mac = /mac|iphone|ipad/i.test(navigator.platform)

class Shortcuts {
  list = $state.raw<Shortcut[]>([])
  sheet = $state(false)
  #all: Shortcut[] = [] // what list shows: an effect that ends reads of a state what it was before
  #histories: History[] = []
  #first = ''
  #timer = 0
  #held: Shortcut[] = []

  /** Take keys; returns what gives them back. The latest taken wins. */
  add(...shortcuts: Shortcut[]): () => void {
    this.list = this.#all = [...this.#all, ...shortcuts]
    return () => (this.list = this.#all = this.#all.filter((one) => !shortcuts.includes(one)))
  }

  /** Mod+Z and Mod+Shift+Z act on this one until it is given back. */
  history(history: History): () => void {
    this.#histories.push(history)
    return () => (this.#histories = this.#histories.filter((one) => one !== history))
  }

  begin(): void {
    const last = () => this.#histories.at(-1)
    this.add(
      { keys: 'Mod+Z', label: 'shell.undo', run: () => last()?.undo() },
      { keys: 'Mod+Shift+Z', label: 'shell.redo', run: () => last()?.redo() },
    )
    window.addEventListener('keydown', (event) => this.#down(event))
    window.addEventListener('keyup', (event) => this.#up(event))
    window.addEventListener('blur', () => this.#release(() => true))
  }

  #down(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.isComposing) return
    const target = event.target as HTMLElement
    const text = target.isContentEditable || target.matches?.('textarea, select, input:not([type=range], [type=checkbox], [type=radio])')
    const modal = document.querySelector('dialog:modal, [popover=auto]:popover-open') !== null
    const pressed = named(event)
    const sequence = this.#first ? `${this.#first} ${pressed}` : ''
    this.#first = ''
    clearTimeout(this.#timer)
    const open = [...this.list].reverse()
      .filter((one) => (one.inText || !text) && (one.inDialog || !modal) && (one.when?.() ?? true))
    const found = open.find((one) => sequence && one.keys === sequence) ?? open.find((one) => one.keys === pressed)
    if (found) {
      event.preventDefault()
      if (event.repeat && found.up) return
      if (found.up) this.#held.push(found)
      found.run(event)
    } else if (open.some((one) => one.keys.startsWith(`${pressed} `))) {
      this.#first = pressed
      this.#timer = window.setTimeout(() => (this.#first = ''), PATIENCE)
    }
  }

  #up(event: KeyboardEvent): void {
    const key = event.key.toLowerCase()
    this.#release((one) => one.keys.split('+').at(-1)!.toLowerCase() === key)
  }

  #release(which: (one: Shortcut) => boolean): void {
    for (const one of this.#held.filter(which)) one.up?.()
    this.#held = this.#held.filter((one) => !which(one))
  }
}

function named(event: KeyboardEvent): string {
  const letter = event.key.length === 1 && /[a-z]/i.test(event.key)
  const mod = event.ctrlKey || event.metaKey
  const key = event.key === ' ' ? 'Space' : letter && (mod || event.altKey) ? event.key.toUpperCase() : event.key
  const shift = event.shiftKey && (mod || event.altKey || event.key.length > 1)
  return [mod && 'Mod', event.altKey && 'Alt', shift && 'Shift', key].filter(Boolean).join('+')
}

/** The caps to draw for keys: [['g'], ['p']] or [['⌘', 'Z']]. */
export function caps(keys: string): string[][] {
  const names: Record<string, string> = {
    Mod: mac ? '⌘' : 'Ctrl', Shift: mac ? '⇧' : 'Shift', Alt: mac ? '⌥' : 'Alt', Escape: 'Esc',
    ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', Delete: 'Del',
  }
  return keys.split(' ').map((stroke) =>
    (stroke === '+' ? ['+'] : stroke.split('+')).map((key) => names[key] ?? (key.length === 1 ? key.toUpperCase() : key)),
  )
}

export const shortcuts = new Shortcuts()
