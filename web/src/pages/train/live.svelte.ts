/** A run that is looked at while it may be learning: its facts, its log and its job, kept up to date. */

import { api, ApiError } from '$lib/api'
import { onEvent } from '$lib/events'
import { jobs } from '$lib/jobs.svelte'
import type { RunDetail, RunLine } from '$lib/types'
import { jobOf, leads, trains } from './words'

const RARELY = 3000 // milliseconds between two looks at the log
const ALONE = 4000 // between two looks at a run that trains without a job, as from the command line, or is just ending

export class LiveRun {
  run = $state.raw<RunDetail | null>(null)
  lines = $state.raw<RunLine[]>([])
  error = $state.raw<ApiError | null>(null)
  /** The job that trains it now, or else the one that did last. */
  job = $derived(this.run ? jobOf(this.run, jobs.all) : undefined)

  #followed = false
  #turn = 0
  #looking = false
  #again = false // whether something was told while it looked
  #timer = 0
  #last = 0
  #alone = 0

  constructor(readonly number: string) {}

  /** Begin to follow it; returns what stops that. */
  follow(): () => void {
    this.#followed = true
    this.load()
    const mine = (id: string) => this.job?.id === id
    const stops = [
      onEvent(['runs', 'reset'], () => this.load()),
      onEvent('job', (job) => this.run && trains(job, this.run) && this.load()),
      onEvent('preview', ({ id }) => mine(id) && this.load()),
      onEvent('progress', ({ id }) => mine(id) && this.soon()),
      onEvent('gone', ({ kind, id }) => {
        if (kind === 'run' && String(id) === this.number) this.load()
      }),
      () => clearTimeout(this.#timer),
      () => clearTimeout(this.#alone),
      () => (this.#followed = false),
    ]
    return () => stops.forEach((stop) => stop())
  }

  async load(): Promise<void> {
    const turn = ++this.#turn
    clearTimeout(this.#alone)
    try {
      const run = await api.runs.get(this.number)
      if (turn !== this.#turn || !this.#followed) return
      this.run = run
      this.error = null
      if (run.status === 'training' && !leads(this.job)) this.#alone = window.setTimeout(() => this.load(), ALONE)
      await this.look()
    } catch (error) {
      if (turn === this.#turn) this.error = ApiError.from(error)
    }
  }

  soon(): void {
    if (this.#timer) return
    const wait = Math.max(0, RARELY - (Date.now() - this.#last))
    this.#timer = window.setTimeout(() => {
      this.#timer = 0
      this.look().catch(() => {})
    }, wait)
  }

  /** What the log has since. The last step is asked for again: what is found at a preview comes after its figures. */
  async look(): Promise<void> {
    this.#again = this.#looking
    if (this.#looking) return
    this.#looking = true
    this.#last = Date.now()
    try {
      const last = this.lines.at(-1)?.step ?? -1
      const found = await api.runs.log(this.number, last >= 0 ? Math.max(-1, last - 1) : undefined)
      // A run that goes on from its last save tells some steps once more: the newer ones hold.
      const first = found[0]?.step ?? Infinity
      const kept = this.lines.filter((line) => line.step < Math.min(first, last < 0 ? 0 : last))
      if (found.length) this.lines = inOrder([...kept, ...found])
    } finally {
      this.#looking = false
    }
    if (this.#again && this.#followed) await this.look()
  }
}

/** Without what was told before a run went back to its last save and told it again. */
function inOrder(lines: RunLine[]): RunLine[] {
  const out: RunLine[] = []
  for (const line of lines) {
    while (out.length && out[out.length - 1].step > line.step) out.pop()
    out.push(line)
  }
  return out
}
