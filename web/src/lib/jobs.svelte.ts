/** All jobs, kept up to date by events. Everything that acts on a job shows its own failure as a toast. */

import { api, ApiError } from './api'
import { onEvent } from './events'
import { toast } from './toasts.svelte'
import type { Job, Queue } from './types'

const LIMIT = 300
const ENDED = new Set(['done', 'failed', 'cancelled'])

/** In the order in which they will be begun: higher priority first, then by place. */
export const inOrder = (a: Job, b: Job) => b.priority - a.priority || a.place - b.place
const newest = (a: Job, b: Job) => (b.ended ?? b.created).localeCompare(a.ended ?? a.created)

class Jobs {
  all = $state<Job[]>([])
  queue = $state<Queue | null>(null)
  loaded = $state(false)
  problem = $state<ApiError | null>(null)

  running = $derived(this.all.filter((job) => job.status === 'running'))
  waiting = $derived(this.all.filter((job) => job.status === 'waiting').sort(inOrder))
  paused = $derived(this.all.filter((job) => job.status === 'paused').sort(newest))
  ended = $derived(this.all.filter((job) => ENDED.has(job.status)).sort(newest))

  constructor() {
    onEvent('job', (job) => this.put(job))
    onEvent('progress', ({ id, progress }) => {
      const job = this.get(id)
      if (job) job.progress = progress
    })
    onEvent('preview', ({ id, preview }) => {
      const job = this.get(id)
      if (job) job.preview = preview
    })
    onEvent('gone', ({ kind, id }) => kind === 'job' && this.remove(id))
    onEvent('queue', (queue) => this.queue && Object.assign(this.queue, queue))
    onEvent('reset', () => this.load())
  }

  get(id: string): Job | undefined {
    return this.all.find((job) => job.id === id)
  }

  async load(): Promise<void> {
    try {
      this.all = await api.jobs.list({ limit: LIMIT })
      this.problem = null
      this.loaded = true
    } catch (error) {
      this.problem = ApiError.from(error)
    }
  }

  /** Also how full the disk is, which takes the studio a moment to find out. */
  async loadQueue(): Promise<void> {
    try {
      this.queue = await api.queue.get()
    } catch {
      /* the strip at the top says it */
    }
  }

  /** Ask for a task. Throws an ApiError, for the form to show beside its field. */
  async run(task: string, options: Record<string, unknown>, priority = 0): Promise<Job> {
    const job = await api.run(task, options, priority)
    this.put(job)
    return job
  }

  /** The job when it is over, whatever became of it. */
  finished(id: string): Promise<Job> {
    return new Promise((resolve, reject) => {
      const stops = [
        onEvent('job', (job) => job.id === id && ENDED.has(job.status) && end(job)),
        onEvent('reset', () => look()),
      ]
      const end = (job: Job) => {
        stops.forEach((stop) => stop())
        resolve(job)
      }
      const look = () =>
        api.jobs.get(id).then(
          (job) => ENDED.has(job.status) && end(job),
          (error) => ApiError.from(error).status === 404 && (stops.forEach((stop) => stop()), reject(error)),
        )
      look()
    })
  }

  pause = (id: string) => this.#act(() => api.jobs.pause(id))
  resume = (id: string) => this.#act(() => api.jobs.resume(id))
  cancel = (id: string) => this.#act(() => api.jobs.cancel(id))
  retry = (id: string) => this.#act(() => api.jobs.retry(id))
  priority = (id: string, priority: number) => this.#act(() => api.jobs.priority(id, priority))

  /** Before another one that waits; null: to the end. Shown at once, told afterwards. */
  async move(id: string, before: string | null): Promise<void> {
    const job = this.get(id)
    if (!job || id === before) return
    const others = this.waiting.filter((other) => other.id !== id && other.priority === job.priority)
    const next = before === null ? others.length : others.findIndex((other) => other.id === before)
    const low = others[next - 1]?.place
    const high = others[next]?.place
    if (next >= 0) job.place = low === undefined ? (high ?? job.place + 1) - 1 : high === undefined ? low + 1 : (low + high) / 2
    await this.#act(() => api.jobs.move(id, before))
  }

  async forget(id: string): Promise<void> {
    try {
      await api.jobs.forget(id)
      this.remove(id)
    } catch (error) {
      toast.error(error)
    }
  }

  async halt(paused: boolean): Promise<void> {
    try {
      this.queue = await (paused ? api.queue.pause() : api.queue.resume())
    } catch (error) {
      toast.error(error)
    }
  }

  put(job: Job): void {
    const at = this.all.findIndex((other) => other.id === job.id)
    if (at < 0) this.all.unshift(job)
    else this.all[at] = job
  }

  remove(id: string): void {
    this.all = this.all.filter((job) => job.id !== id)
  }

  async #act(asked: () => Promise<Job>): Promise<void> {
    try {
      this.put(await asked())
    } catch (error) {
      toast.error(error)
      this.load()
    }
  }
}

export const jobs = new Jobs()
