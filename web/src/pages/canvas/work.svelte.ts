/** Work on a picture: what it is now and was before, the mask, the tools' settings, what runs, what came out of it. */

import type { Frame } from './frames'
import { api, ApiError, ref } from '$lib/api'
import { onEvent } from '$lib/events'
import { History } from '$lib/history.svelte'
import { jobs } from '$lib/jobs.svelte'
import type { Job, Options, Picture, PictureDetail, Ref, Schema, Task } from '$lib/types'
import { toast } from '$lib/toasts.svelte'
import { t } from '$lib/i18n.svelte'
import { kept, quietly, recall, remember } from './keep'
import { Mask } from './mask.svelte'
import { TOOLS, type Role, type Tool } from './tools'
import { View } from './view.svelte'

/** A picture that is worked on. thumb: a smaller one to show in strips. */
export interface Shown {
  ref: Ref
  url: string
  thumb: string
  name: string
  width: number
  height: number
}

/** A job that was begun here. base: the picture it was given; gone: pictures of it that are not shown any more. */
interface Begun {
  job: string
  tool: Tool['name']
  base: Ref
  gone: string[]
  /** Its failure was read. */
  read?: boolean
}

export interface Candidate {
  picture: Picture
  begun: Begun
}

interface Stored {
  states: Shown[]
  at: number
  tool: Tool['name']
  values: Record<string, Options>
  roles: Record<string, Role>
  begun: Begun[]
}

const ENDED = ['done', 'failed', 'cancelled']
const SIDES = /\.before-after\./ // sheets that belong to a result and are no candidates
const FOUND = /\.mask\./

export const shownOf = (picture: Picture): Shown => ({
  ref: ref.picture(picture.id), url: picture.url, thumb: picture.thumb, name: picture.name, width: picture.width, height: picture.height,
})

class Work {
  readonly history = new History()
  readonly view = new View()
  readonly mask = new Mask(this.history, () => this.#saveMask())

  states = $state.raw<Shown[]>([])
  at = $state(-1)
  present = $derived(this.states[this.at] ?? null)

  toolName = $state<Tool['name']>('inpaint')
  tool = $derived(TOOLS.find((one) => one.name === this.toolName) ?? TOOLS[0])
  values = $state.raw<Record<string, Options>>({})
  roles = $state.raw<Record<string, Role>>({})
  role = $derived<Role>(this.roles[this.toolName] ?? this.tool.roles[0] ?? '')

  /** What the pointer does while a mask can be painted. */
  hold = $state<'hand' | 'brush' | 'eraser' | 'box' | 'lasso'>('brush')
  size = $state(48)
  hardness = $state(1)

  /** A new frame around the picture, or its new shape, in pixels; null: as the picture is. */
  frame = $state.raw<Frame | null>(null)
  /** How far a masked part is moved. */
  by = $state({ right: 0, down: 0 })

  begun = $state.raw<Begun[]>([])
  pictures = $state.raw<Record<string, PictureDetail>>({})
  /** The candidate that is looked at. */
  looked = $state<string | null>(null)
  /** The picture before is shown, as long as this is held. */
  before = $state(false)
  tiled = $state(false)
  error = $state.raw<ApiError | null>(null)
  sending = $state(false)
  opening = $state(false)

  active = $derived(this.begun.flatMap((one) => {
    const job = jobs.get(one.job)
    return job && !ENDED.includes(job.status) ? [{ begun: one, job }] : []
  }))
  failed = $derived.by(() => {
    for (const one of [...this.begun].reverse()) {
      const job = jobs.get(one.job)
      if (job?.status === 'failed' && !one.read && one.tool === this.toolName) return { begun: one, job }
    }
    return null
  })
  /** What the last restoration found; of other tools there is nothing to tell that is not seen. */
  told = $derived.by(() => {
    if (this.toolName !== 'restore') return ''
    const last = this.begun.filter((one) => one.tool === this.toolName).at(-1)
    const job = last && jobs.get(last.job)
    return job?.status === 'done' ? (job.result?.text ?? '') : ''
  })
  #results = $derived(this.begun.flatMap((begun) => {
    const job = jobs.get(begun.job)
    return (job?.result?.pictures ?? []).filter((id) => !begun.gone.includes(id)).flatMap((id) => (this.pictures[id] ? [{ picture: this.pictures[id] as Picture, begun }] : []))
  }))
  candidates = $derived<Candidate[]>(this.#results.filter(({ picture }) => picture.kind === 'picture' && !SIDES.test(picture.name) && !FOUND.test(picture.name)))
  candidate = $derived(this.candidates.find((one) => one.picture.id === this.looked) ?? null)
  /** A mask that a restoration found. */
  foundMask = $derived(this.#results.findLast(({ picture, begun }) => begun.tool === 'restore' && FOUND.test(picture.name))?.picture ?? null)

  shown = $derived.by<Shown | null>(() => {
    if (this.candidate && !this.before) return shownOf(this.candidate.picture)
    if (this.candidate) return this.states.find((one) => one.ref === this.candidate!.begun.base) ?? this.present
    return this.before ? (this.states[0] ?? null) : this.present
  })

  #maskRef: { version: number; ref: Ref } | null = null
  #begun = false
  #saveMask = quietly(() => {
    const { present } = this
    if (!present) return
    if (this.mask.empty) kept.put('mask', null)
    else this.mask.picture(this.mask.width, this.mask.height, true).then((found) => kept.put('mask', found))
  })
  #save = quietly(() => {
    const { states, at, toolName: tool, values, roles, begun } = this
    remember('work', { states: states.slice(-24), at: Math.max(0, at - Math.max(0, states.length - 24)), tool, values, roles, begun } satisfies Stored)
  }, 150)

  /** Take up what this tab was at; once. */
  begin(): void {
    if (this.#begun) return
    this.#begun = true
    const stored = recall<Stored | null>('work', null)
    if (stored?.states?.length) {
      this.states = stored.states
      this.at = Math.min(stored.at, stored.states.length - 1)
      this.values = stored.values
      this.roles = stored.roles
      this.begun = stored.begun
      if (TOOLS.some((one) => one.name === stored.tool)) this.toolName = stored.tool
      const { present } = this
      if (present) {
        this.#settle(present)
        kept.get('mask').then((found) => {
          if (found && this.present === present) this.mask.load(found, false)
        })
      }
    }
    this.#look()
    onEvent('job', (job) => this.begun.some((one) => one.job === job.id) && this.#done(job))
    onEvent('reset', () => this.#look())
    onEvent('picture', (picture) => {
      if (this.pictures[picture.id]) this.pictures = { ...this.pictures, [picture.id]: { ...this.pictures[picture.id], ...picture } }
    })
    onEvent('gone', ({ kind, id }) => kind === 'picture' && this.#drop([id]))
  }

  /** Jobs that were begun here, also those of before a reload. */
  #look(): void {
    for (const one of this.begun) {
      api.jobs.get(one.job).then(
        (job) => (jobs.put(job), this.#done(job)),
        (error) => ApiError.from(error).status === 404 && this.#forget(one.job),
      )
    }
  }
  #done(job: Job): void {
    const begun = this.begun.find((one) => one.job === job.id)
    if (job.status === 'cancelled') this.#forget(job.id)
    if (job.status !== 'done' || !begun) return
    const ids = (job.result?.pictures ?? []).filter((id) => !this.pictures[id] && !begun.gone.includes(id))
    Promise.all(ids.map((id) => api.pictures.get(id).catch(() => null))).then((found) => {
      const fresh = found.filter((one) => one !== null)
      if (!fresh.length) return
      this.pictures = { ...this.pictures, ...Object.fromEntries(fresh.map((one) => [one.id, one])) }
      const first = this.candidates.find((one) => one.begun.job === job.id)
      if (first && !this.candidate && begun.base === this.present?.ref) this.looked = first.picture.id
    })
  }
  #forget(job: string): void {
    this.begun = this.begun.filter((one) => one.job !== job)
    this.saved()
  }
  saved(): void {
    this.#save()
  }

  /** The picture is what is worked on now; the mask goes, unless it still fits and `keep` says so. */
  #settle(present: Shown, keep = false): void {
    const factor = Math.min(1, 4096 / Math.max(present.width, present.height))
    const fits = this.mask.width === Math.round(present.width * factor) && this.mask.height === Math.round(present.height * factor)
    if (!keep || !fits) this.mask.reset(present.width, present.height)
    this.frame = null
    this.#saveMask()
  }

  /** Go to another state, as one step that can be undone. */
  #go(states: Shown[], at: number, keepMask: boolean): void {
    const from = { states: this.states, at: this.at, mask: this.mask.snapshot() }
    const to = () => {
      this.states = states
      this.at = at
      this.looked = null
      this.#settle(states[at], keepMask)
      this.saved()
    }
    const undo = () => {
      this.states = from.states
      this.at = from.at
      this.looked = null
      this.frame = null
      this.mask.restore(from.mask)
      this.saved()
    }
    to()
    if (from.at >= 0) this.history.push({ undo, redo: to })
  }

  open(picture: Shown): void {
    if (this.present?.ref === picture.ref) return
    const at = this.states.findIndex((one) => one.ref === picture.ref)
    if (at >= 0) this.#go(this.states, at, false)
    else this.#go([...this.states, picture], this.states.length, false)
    this.view.fit()
  }
  async openPicture(id: string): Promise<void> {
    this.opening = true
    try {
      const found = await api.pictures.get(id)
      if (found.kind !== 'picture') throw new ApiError(t('canvas.noPicture'), t('canvas.noPictureHelp'))
      this.open(shownOf(found))
    } catch (error) {
      toast.error(error)
    }
    this.opening = false
  }
  async openFile(file: Blob, name?: string): Promise<void> {
    this.opening = true
    try {
      const up = await api.uploads.add(file, name)
      this.open({ ref: ref.upload(up.id), url: up.url, thumb: up.url, name: up.name, width: up.width, height: up.height })
    } catch (error) {
      toast.error(error)
    }
    this.opening = false
  }
  /** A picture that was sent before, by another page. */
  async openUpload(id: string): Promise<void> {
    this.opening = true
    const sent = new Image()
    sent.src = `/api/uploads/${encodeURIComponent(id)}`
    try {
      await sent.decode()
      this.open({ ref: ref.upload(id), url: sent.src, thumb: sent.src, name: t('canvas.sent'), width: sent.naturalWidth, height: sent.naturalHeight })
    } catch {
      toast.error(new ApiError(t('canvas.sentGone'), t('canvas.sentGoneHelp')))
    }
    this.opening = false
  }
  goTo(at: number): void {
    this.looked = null
    if (at !== this.at) this.#go(this.states, at, true)
  }

  choose(tool: Tool['name']): void {
    this.toolName = tool
    this.frame = null
    this.error = null
    this.saved()
  }
  take(role: Role): void {
    this.roles = { ...this.roles, [this.toolName]: role }
    this.saved()
  }
  valuesOf(tool: Tool): Options {
    return this.values[tool.name] ?? tool.first
  }
  set(values: Options): void {
    this.values = { ...this.values, [this.toolName]: values }
    this.error = null
    this.saved()
  }

  /** The mask as a task takes it; sent once as long as nothing changes. */
  async maskRef(): Promise<Ref> {
    const { version } = this.mask
    if (this.#maskRef?.version !== version) {
      const found = await this.mask.picture(this.present!.width, this.present!.height)
      this.#maskRef = { version, ref: ref.upload((await api.uploads.add(found, 'mask.png')).id) }
    }
    return this.#maskRef!.ref
  }

  /** Begin the tool that is chosen. */
  async run(task: Task | null): Promise<void> {
    const { present, tool, role } = this
    if (!present || this.sending) return
    const schema = task?.schema ?? ({} as Schema)
    this.sending = true
    this.error = null
    try {
      const options: Options = { ...this.valuesOf(tool), [tool.picture]: tool.several ? [present.ref] : present.ref }
      if (role) options[role] = await this.maskRef()
      if (tool.frame === 'grow') {
        const { width, height, across, down, left, top } = this.frame!
        Object.assign(options, { to: `${width}x${height}` }, left === undefined ? { across, down } : { at: `${left},${top}` })
      }
      if (tool.frame === 'shape' && this.frame && role !== 'move') options.size = `${this.frame.width}x${this.frame.height}`
      if (role === 'move') options.by = `${this.by.right},${this.by.down}`
      if (schema.properties?.seed && options.seed === undefined) options.seed = Math.floor(Math.random() * 2 ** 31)
      await this.#ask(tool.name, options, present.ref)
    } catch (error) {
      this.error = ApiError.from(error)
    }
    this.sending = false
  }
  async #ask(tool: Tool['name'], options: Options, base: Ref): Promise<void> {
    const job = await jobs.run(tool, options, 1)
    this.look(null)
    this.begun = [...this.begun.map((one) => (one.tool === tool ? { ...one, read: true } : one)), { job: job.id, tool, base, gone: [] }]
    this.saved()
  }
  /** The same again with other seeds. */
  async more({ begun }: Candidate): Promise<void> {
    try {
      const { options } = jobs.get(begun.job) ?? (await api.jobs.get(begun.job))
      await this.#ask(begun.tool, { ...options, seed: Math.floor(Math.random() * 2 ** 31) }, begun.base)
    } catch (error) {
      toast.error(error)
    }
  }
  readFailure(job: string): void {
    this.begun = this.begun.map((one) => (one.job === job ? { ...one, read: true } : one))
    this.saved()
  }

  look(id: string | null): void {
    this.looked = id
    this.before = false
  }
  step(by: number): void {
    const ids = [null, ...this.candidates.map((one) => one.picture.id)]
    const at = Math.max(0, ids.indexOf(this.looked))
    this.look(ids[(at + by + ids.length) % ids.length])
  }
  accept({ picture, begun }: Candidate): void {
    const masked = TOOLS.find((one) => one.name === begun.tool)?.roles.includes('mask') ?? false
    const next = shownOf(picture)
    const states = this.states.filter((one) => one.ref !== next.ref)
    this.#go([...states, next], states.length, !masked)
    this.#drop([picture.id])
  }
  async discard({ picture }: Candidate): Promise<void> {
    const at = this.candidates.findIndex((one) => one.picture.id === picture.id)
    const next = this.candidates[at + 1] ?? this.candidates[at - 1]
    const { begun, looked } = this
    this.#drop([picture.id])
    this.look(next?.picture.id ?? null)
    try {
      await api.pictures.drop(picture.id)
      toast(t('canvas.discarded'), { action: { label: t('shell.undo'), run: () => this.#undelete(picture.id, begun) } })
    } catch (error) {
      this.begun = begun
      this.looked = looked
      toast.error(error)
    }
  }
  async #undelete(id: string, begun: Begun[]): Promise<void> {
    try {
      await api.pictures.undelete(id)
      const gone = begun.find((one) => jobs.get(one.job)?.result?.pictures.includes(id))
      this.begun = this.begun.map((one) => (one.job === gone?.job ? { ...one, gone: one.gone.filter((other) => other !== id) } : one))
      this.look(id)
    } catch (error) {
      toast.error(error)
    }
  }
  async star({ picture }: Candidate): Promise<void> {
    try {
      const found = await api.pictures.change(picture.id, { starred: !picture.starred })
      this.pictures = { ...this.pictures, [picture.id]: { ...this.pictures[picture.id], ...found } }
    } catch (error) {
      toast.error(error)
    }
  }
  /** All stay in the gallery; the strip is free again. */
  keepAll(): void {
    const count = this.candidates.length
    this.begun = this.begun.filter((one) => !ENDED.includes(jobs.get(one.job)?.status ?? 'done'))
    this.look(null)
    this.saved()
    toast(t('canvas.keptAll', count))
  }
  #drop(ids: string[]): void {
    this.begun = this.begun.map((one) => ({ ...one, gone: [...new Set([...one.gone, ...ids])] }))
    if (this.looked && ids.includes(this.looked)) this.looked = null
    this.saved()
  }
}

export const work = new Work()
