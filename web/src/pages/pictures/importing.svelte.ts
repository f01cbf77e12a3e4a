/** The import that is being prepared, sent or done. One at a time; it goes on while other pages are looked at. */

import { api, ApiError, ref } from '$lib/api'
import { t } from '$lib/i18n.svelte'
import { jobs } from '$lib/jobs.svelte'
import { toast } from '$lib/toasts.svelte'
import type { DatasetDetail, Options } from '$lib/types'
import { unstaged } from '../jobs/words'
import { nameOf, type Found } from './dropped'

const AT_ONCE = 4 // files on their way; browsers allow six connections, and events take one
const AGAIN = 1500 // milliseconds until a file is sent again when the studio did not answer
const TRIES = 4 // of one file, while the studio answers otherwise

type Step = 'none' | 'asking' | 'sending' | 'working' | 'done'

const warn = (event: BeforeUnloadEvent) => event.preventDefault()

/** Raises an ApiError where a file was moved, deleted or changed since it was chosen. */
async function readable(path: string, file: File): Promise<void> {
  try {
    await file.slice(0, 1).arrayBuffer()
  } catch {
    throw new ApiError(t('pictures.fileGone', { path }), t('pictures.chooseAgain'))
  }
}

class Importing {
  step = $state<Step>('none')
  /** Whether the sheet is shown. */
  open = $state(false)
  /** What was given; null: the built-in flowers. */
  found = $state.raw<Found[] | null>([])
  options = $state.raw<Options>({})
  error = $state.raw<ApiError | null>(null)
  sent = $state(0)
  sentBytes = $state(0)
  job = $state<string | null>(null)
  made = $state.raw<DatasetDetail | null>(null)
  bytes = $derived((this.found ?? []).reduce((sum, { file }) => sum + file.size, 0))

  #stage: string | null = null
  #stop: AbortController | null = null

  /** Ask what to do with what was given. While another import is on its way that one is shown instead. */
  begin(found: Found[] | null): void {
    this.open = true
    if (this.step === 'sending' || this.step === 'working') {
      toast(t('pictures.oneAtATime'))
      return
    }
    this.found = found
    this.options = found ? (nameOf(found) ? { name: nameOf(found) } : {}) : { name: 'flowers', count: 1000 }
    this.error = null
    this.made = null
    this.job = null
    this.step = 'asking'
  }

  /** Send everything and import it. */
  async start(): Promise<void> {
    this.error = null
    const stop = (this.#stop = new AbortController())
    try {
      let source = 'blossoms'
      if (this.found) {
        this.step = 'sending'
        source = await this.#send(this.found, stop.signal)
      }
      this.step = 'working'
      const job = await jobs.run('import', { ...this.options, source })
      if (stop.signal.aborted) return void jobs.cancel(job.id)
      this.#stage = null
      this.job = job.id
      await this.#wait(job.id)
    } catch (error) {
      if (stop.signal.aborted) return
      stop.abort() // what else is on its way
      this.#drop()
      this.#failed(ApiError.from(error))
    }
  }

  /** Stop it, wherever it is. What was sent is thrown away. */
  async cancel(): Promise<void> {
    this.#stop?.abort()
    if (this.step === 'working' && this.job) await jobs.cancel(this.job)
    this.#drop()
    this.step = 'asking'
    this.job = null
  }

  /** Put it away when it is over. */
  close(): void {
    this.open = false
    if (this.step === 'done' || this.step === 'asking') {
      this.#drop()
      this.step = 'none'
    }
  }

  /** A sentence about what was sent, which lies in a folder of the studio's own there. */
  #told(problem: string): string {
    const tops = new Set((this.found ?? []).map(({ path }) => path.split('/')[0]))
    const all = tops.size === 1 ? [...tops][0] : t('pictures.given')
    return unstaged(problem, all)
  }

  #failed(error: ApiError | null): void {
    this.error = error
    this.step = 'asking'
    if (error) this.open = true
  }

  #drop(): void {
    if (this.#stage) api.stages.drop(this.#stage).catch(() => {})
    this.#stage = null
  }

  async #send(found: Found[], signal: AbortSignal): Promise<string> {
    this.#drop()
    const { id } = await api.stages.begin()
    if (signal.aborted) api.stages.drop(id).catch(() => {})
    signal.throwIfAborted()
    this.#stage = id
    this.sent = this.sentBytes = 0
    let next = 0
    const under = new Map<number, number>() // bytes of what is on its way
    let ended = 0
    const tell = () => (this.sentBytes = ended + [...under.values()].reduce((sum, one) => sum + one, 0))
    const sender = async () => {
      while (next < found.length && !signal.aborted) {
        const at = next++
        const { path, file } = found[at]
        for (let tries = 1; ; ) {
          try {
            await api.stages.put(id, path, file, (share) => (under.set(at, share * file.size), tell()), signal)
            break
          } catch (error) {
            if (ApiError.from(error).status !== 0 || signal.aborted) throw error
            await readable(path, file)
            if (tries >= TRIES) throw error
            if (await api.about().then(() => true, () => false)) tries++
            await new Promise((resolve) => setTimeout(resolve, AGAIN))
            signal.throwIfAborted()
          }
        }
        under.delete(at)
        ended += file.size
        this.sent++
        tell()
      }
    }
    window.addEventListener('beforeunload', warn)
    try {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, found.length) }, sender))
    } finally {
      window.removeEventListener('beforeunload', warn)
    }
    signal.throwIfAborted()
    return ref.stage(id)
  }

  async #wait(id: string): Promise<void> {
    const job = await jobs.finished(id)
    if (this.job !== id) return
    if (job.status !== 'done') return this.#failed(job.error && new ApiError(this.#told(job.error.problem), job.error.remedy))
    const name = String(job.result?.facts.name ?? this.options.name ?? '')
    this.made = await api.datasets.get(name)
    this.step = 'done'
    this.open = true
  }
}

export const importing = new Importing()
