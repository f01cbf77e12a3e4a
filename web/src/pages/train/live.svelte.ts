/** A run that is looked at while it may be learning: its facts, its log and its job, kept up to date. */

import { api, ApiError } from '$lib/api'
import { onEvent } from '$lib/events'
import { jobs } from '$lib/jobs.svelte'
import type { Job, RunDetail, RunLine } from '$lib/types'

const RARELY = 3000 // milliseconds between two looks at the log
const ALONE = 4000 // between two looks at a run that trains without a job, as from the command line, or is just ending

/** Whether a job trains a run; one that was to go on with it and could not has no run of its own. */
const trains = (job: Job, run: RunDetail) =>
  job.task === 'train' && (job.run === run.folder || (!job.run && [String(run.number), run.folder].includes(String(job.options.resume ?? ''))))

export class LiveRun {
  run = $state.raw<RunDetail | null>(null)
  lines = $state.raw<RunLine[]>([])
  error = $state.raw<ApiError | null>(null)
  /** The job that trains it now, or else the one that did last. */
  job = $derived.by(() => {
    const run = this.run
    if (!run) return undefined
    const all = jobs.all.filter((job) => trains(job, run))
    const order = { running: 0, waiting: 1, paused: 2, failed: 3, cancelled: 3, done: 3 }
    return all.sort((a, b) => order[a.status] - order[b.status] || b.created.localeCompare(a.created))[0]
  })

  #looking = false
  #timer = 0
  #last = 0
  #alone = 0

  constructor(readonly number: string) {}

  /** Begin to follow it; returns what stops that. */
  follow(): () => void {
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
    ]
    return () => stops.forEach((stop) => stop())
  }

  async load(): Promise<void> {
    try {
      this.run = await api.runs.get(this.number)
      this.error = null
      clearTimeout(this.#alone)
      const led = this.job && ['running', 'waiting', 'paused'].includes(this.job.status)
      if (this.run.status === 'training' && !led) this.#alone = window.setTimeout(() => this.load(), ALONE)
      await this.look()
    } catch (error) {
      this.error = ApiError.from(error)
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
