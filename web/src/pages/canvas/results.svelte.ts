/** What came out of the tools: the jobs that were begun here, and those of their pictures that are still candidates. */

import { api, ApiError } from '$lib/api'
import { onEvent } from '$lib/events'
import { jobs } from '$lib/jobs.svelte'
import type { Job, Options, PictureDetail, Ref } from '$lib/types'
import type { Tool } from './tools'

/** A job that was begun here. base: the picture it was given; gone: pictures of it that are not shown any more. */
export interface Begun {
  job: string
  tool: Tool['name']
  base: Ref
  gone: string[]
  /** Its failure was read. */
  read?: boolean
}

export interface Candidate {
  picture: PictureDetail
  begun: Begun
}

export const ENDED = ['done', 'failed', 'cancelled']
const SIDES = /\.before-after\./ // sheets that belong to a result and are no candidates
const FOUND = /\.mask\./

export class Results {
  begun = $state.raw<Begun[]>([])
  #pictures = $state.raw<Record<string, PictureDetail>>({})

  active = $derived(this.begun.flatMap((begun) => {
    const job = jobs.get(begun.job)
    return job && !ENDED.includes(job.status) ? [{ begun, job }] : []
  }))
  #all = $derived(this.begun.flatMap((begun) => (jobs.get(begun.job)?.result?.pictures ?? [])
    .filter((id) => !begun.gone.includes(id) && this.#pictures[id])
    .map((id): Candidate => ({ picture: this.#pictures[id], begun }))))
  candidates = $derived(this.#all.filter(({ picture: { kind, name } }) => kind === 'picture' && !SIDES.test(name) && !FOUND.test(name)))
  /** A mask that a restoration found. */
  foundMask = $derived(this.#all.findLast(({ picture, begun }) => begun.tool === 'restore' && FOUND.test(picture.name))?.picture ?? null)

  constructor(
    /** Called when what is to be kept over a reload has changed. */
    readonly changed: () => void,
    /** Called with the first picture of a job that is done. */
    readonly came: (first: Candidate) => void,
  ) {}

  /** Hear of what happens from now on. */
  begin(): void {
    this.#look()
    onEvent('job', (job) => this.begun.some((one) => one.job === job.id) && this.#done(job))
    onEvent('reset', () => this.#look())
    onEvent('picture', (picture) => this.#pictures[picture.id] && this.#know({ ...this.#pictures[picture.id], ...picture }))
    onEvent('gone', ({ kind, id }) => kind === 'picture' && this.#pictures[id] && this.drop(id))
  }

  /** The last failure of a tool, until it was read. */
  failed(tool: Tool['name']): Job | null {
    const found = this.begun.findLast((one) => one.tool === tool && !one.read && jobs.get(one.job)?.status === 'failed')
    return (found && jobs.get(found.job)) ?? null
  }
  /** What the last job of a tool tells of its result. */
  told(tool: Tool['name']): string {
    const last = this.begun.findLast((one) => one.tool === tool)
    const job = last && jobs.get(last.job)
    return job?.status === 'done' ? (job.result?.text ?? '') : ''
  }

  async ask(tool: Tool['name'], options: Options, base: Ref): Promise<void> {
    const job = await jobs.run(tool, options, 1)
    const before = this.begun.map((one) => (one.tool === tool ? { ...one, read: true } : one))
    this.#set([...before, { job: job.id, tool, base, gone: [] }])
  }
  read(job: string): void {
    this.#set(this.begun.map((one) => (one.job === job ? { ...one, read: true } : one)))
  }
  /** A picture is no candidate any more. */
  drop(id: string): void {
    this.#set(this.begun.map((one) => ({ ...one, gone: [...one.gone.filter((other) => other !== id), id] })))
  }
  /** It is one again. */
  back(id: string): void {
    this.#set(this.begun.map((one) => ({ ...one, gone: one.gone.filter((other) => other !== id) })))
  }
  /** Only what still runs is left. */
  clear(): void {
    this.#set(this.active.map((one) => one.begun))
  }
  async star({ picture: { id, starred } }: Candidate): Promise<void> {
    const found = await api.pictures.change(id, { starred: !starred })
    this.#know({ ...this.#pictures[id], ...found })
  }

  /** Jobs that were begun here, also those of before a reload. */
  #look(): void {
    for (const { job: id } of this.begun) {
      api.jobs.get(id).then(
        (job) => (jobs.put(job), this.#done(job)),
        (error) => ApiError.from(error).status === 404 && this.#forget(id),
      )
    }
  }
  async #done(job: Job): Promise<void> {
    if (job.status === 'cancelled') this.#forget(job.id)
    if (job.status !== 'done') return
    const ids = (job.result?.pictures ?? []).filter((id) => !this.#pictures[id])
    const found = await Promise.all(ids.map((id) => api.pictures.get(id).catch(() => null)))
    const fresh = found.filter((one) => one !== null)
    if (!fresh.length) return
    this.#know(...fresh)
    const first = this.candidates.find((one) => one.begun.job === job.id)
    if (first) this.came(first)
  }
  #know(...pictures: PictureDetail[]): void {
    this.#pictures = { ...this.#pictures, ...Object.fromEntries(pictures.map((one) => [one.id, one])) }
  }
  #forget(job: string): void {
    this.#set(this.begun.filter((one) => one.job !== job))
  }
  #set(begun: Begun[]): void {
    this.begun = begun
    this.changed()
  }
}
