/** Work on a picture: what it is now and was before, the mask, the tools' settings, the candidate that is looked at. */

import { api, ApiError, ref } from '$lib/api'
import { History } from '$lib/history.svelte'
import { t } from '$lib/i18n.svelte'
import { jobs } from '$lib/jobs.svelte'
import { toast } from '$lib/toasts.svelte'
import type { Options, Picture, Ref, Task } from '$lib/types'
import type { Chosen } from '$ui'
import type { Frame } from './frames'
import { kept, quietly, recall, remember } from './keep'
import { Mask } from './mask.svelte'
import { Results, type Begun, type Candidate } from './results.svelte'
import { TOOLS, type Hold, type Role, type Tool } from './tools'
import { View } from './view.svelte'

/** A picture that is worked on. thumb: a smaller one to show in strips. */
interface Shown {
  ref: Ref
  url: string
  thumb: string
  name: string
  width: number
  height: number
}

interface Stored {
  states: Shown[]
  at: number
  tool: Tool['name']
  values: Record<string, Options>
  roles: Record<string, Role>
  begun: Begun[]
}

const STATES = 24 // that are kept over a reload
const another = () => Math.floor(Math.random() * 2 ** 31)

const shownOf = (picture: Picture): Shown => ({
  ref: ref.picture(picture.id), url: picture.url, thumb: picture.thumb, name: picture.name, width: picture.width, height: picture.height,
})

class Work {
  readonly history = new History()
  readonly view = new View()
  readonly mask = new Mask(this.history, () => this.#saveMask())
  readonly results = new Results(() => this.saved(), (first) => {
    if (!this.candidate && first.begun.base === this.present?.ref) this.looked = first.picture.id
  })

  states = $state.raw<Shown[]>([])
  at = $state(-1)
  present = $derived(this.states[this.at] ?? null)

  toolName = $state<Tool['name']>('inpaint')
  tool = $derived(TOOLS.find((one) => one.name === this.toolName) ?? TOOLS[0])
  values = $state.raw<Record<string, Options>>({})
  roles = $state.raw<Record<string, Role>>({})
  role = $derived<Role>(this.roles[this.toolName] ?? this.tool.roles[0] ?? '')

  /** What the pointer does while a mask can be painted. */
  hold = $state<Hold>('brush')
  size = $state(48)
  hardness = $state(1)

  /** A new frame around the picture, or its new shape, in pixels; null: as the picture is. */
  frame = $state.raw<Frame | null>(null)
  /** How far a masked part is moved. */
  by = $state({ right: 0, down: 0 })

  /** The candidate that is looked at. */
  looked = $state<string | null>(null)
  candidate = $derived(this.results.candidates.find((one) => one.picture.id === this.looked) ?? null)
  /** The picture before is shown, as long as this is held. */
  before = $state(false)
  tiled = $state(false)
  error = $state.raw<ApiError | null>(null)
  sending = $state(false)
  opening = $state(false)

  /** What the candidate was made of. */
  base = $derived(this.candidate && (this.states.find((one) => one.ref === this.candidate!.begun.base) ?? this.present))
  shown = $derived.by<Shown | null>(() => {
    if (this.candidate) return this.before ? this.base : shownOf(this.candidate.picture)
    return this.before ? (this.states[0] ?? null) : this.present
  })

  #maskRef: { version: number; ref: Ref } | null = null
  #maskKept = ''
  #begun = false
  #turn = 0
  #saveMask = quietly(async () => {
    const { present, mask } = this
    if (!present) return
    // by its picture, as another tab may be at another one
    const name = `mask.${present.ref}`
    if (this.#maskKept && this.#maskKept !== name) await kept.put(this.#maskKept, null)
    this.#maskKept = name
    await kept.put(name, mask.empty ? null : await mask.picture(mask.width, mask.height, true))
  })
  #save = quietly(() => {
    const { states, at, toolName: tool, values, roles, results: { begun } } = this
    const from = Math.max(0, states.length - STATES)
    remember('work', { states: states.slice(from), at: Math.max(0, at - from), tool, values, roles, begun } satisfies Stored)
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
      this.results.begun = stored.begun
      if (TOOLS.some((one) => one.name === stored.tool)) this.toolName = stored.tool
      const { present } = this
      if (present) this.#takeUp(present)
    }
    this.results.begin()
  }
  async #takeUp(present: Shown): Promise<void> {
    this.mask.reset(present.width, present.height)
    this.#maskKept = `mask.${present.ref}`
    const { version } = this.mask
    const found = await kept.get(this.#maskKept)
    if (found && this.mask.version === version) await this.mask.load(found, false).catch(() => {})
  }
  saved(): void {
    this.#save()
  }

  /** The picture is what is worked on now; the mask goes, unless it still fits and `keep` says so. */
  #settle(present: Shown, keep: boolean): void {
    if (!keep || !this.mask.fits(present.width, present.height)) this.mask.reset(present.width, present.height)
    this.frame = null
    this.#saveMask()
  }

  /** Go to another state, as one step that can be undone. taken: the candidate that it was. */
  #go(states: Shown[], at: number, keepMask: boolean, taken?: string): void {
    const from = { states: this.states, at: this.at, mask: this.mask.snapshot() }
    const to = () => {
      this.states = states
      this.at = at
      this.looked = null
      this.#settle(states[at], keepMask)
      if (taken) this.results.drop(taken)
      this.saved()
    }
    const undo = () => {
      this.states = from.states
      this.at = from.at
      this.looked = null
      this.frame = null
      this.mask.restore(from.mask)
      if (taken) this.results.back(taken)
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
  /** Of several that are asked for one after the other, the last is opened. */
  async #opened(asked: () => Promise<Shown>): Promise<void> {
    const turn = ++this.#turn
    this.opening = true
    try {
      const found = await asked()
      if (turn === this.#turn) this.open(found)
    } catch (error) {
      toast.error(error)
    }
    if (turn === this.#turn) this.opening = false
  }
  openPicture(id: string): Promise<void> {
    return this.#opened(async () => {
      const found = await api.pictures.get(id)
      if (found.kind !== 'picture') throw new ApiError(t('canvas.noPicture'), t('canvas.noPictureHelp'))
      return shownOf(found)
    })
  }
  openFile(file: Blob, name?: string): Promise<void> {
    return this.#opened(async () => {
      const up = await api.uploads.add(file, name)
      return { ref: ref.upload(up.id), url: up.url, thumb: up.url, name: up.name, width: up.width, height: up.height }
    })
  }
  /** A picture that was sent before. */
  openUpload(id: string, name = t('canvas.sent')): Promise<void> {
    return this.#opened(async () => {
      const url = `/api/uploads/${encodeURIComponent(id)}`
      const sent = new Image()
      sent.src = url
      await sent.decode().catch(() => Promise.reject(new ApiError(t('canvas.sentGone'), t('canvas.sentGoneHelp'))))
      return { ref: ref.upload(id), url, thumb: url, name, width: sent.naturalWidth, height: sent.naturalHeight }
    })
  }
  openChosen({ ref, name }: Chosen): Promise<void> {
    const [kind, id] = ref.split(':')
    return kind === 'picture' ? this.openPicture(id) : this.openUpload(id, name)
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
  async #sentMask(): Promise<Ref> {
    const { version } = this.mask
    if (this.#maskRef?.version !== version) {
      const found = await this.mask.picture(this.present!.width, this.present!.height)
      this.#maskRef = { version, ref: ref.upload((await api.uploads.add(found, 'mask.png')).id) }
    }
    return this.#maskRef.ref
  }

  /** Begin the tool that is chosen. */
  async run({ schema }: Task): Promise<void> {
    const { present, tool, role, frame } = this
    if (!present || this.sending) return
    this.sending = true
    this.error = null
    try {
      const options: Options = { ...this.valuesOf(tool), [tool.picture]: tool.several ? [present.ref] : present.ref }
      if (role) options[role] = await this.#sentMask()
      if (role === 'move') options.by = `${this.by.right},${this.by.down}`
      else if (tool.frame && frame) {
        const { width, height, across, down, left, top } = frame
        options[tool.frame === 'grow' ? 'to' : 'size'] = `${width}x${height}`
        if (tool.frame === 'grow') Object.assign(options, left === undefined ? { across, down } : { at: `${left},${top}` })
      }
      if (schema.properties?.seed && options.seed === undefined) options.seed = another()
      await this.results.ask(tool.name, options, present.ref)
      this.look(null)
    } catch (error) {
      this.error = ApiError.from(error)
      this.#maskRef = null // it may be that it is no longer there
    }
    this.sending = false
  }
  /** The same again with other seeds. */
  async more({ begun }: Candidate): Promise<void> {
    try {
      const { options } = jobs.get(begun.job) ?? (await api.jobs.get(begun.job))
      await this.results.ask(begun.tool, { ...options, seed: another() }, begun.base)
      this.look(null)
    } catch (error) {
      toast.error(error)
    }
  }

  look(id: string | null): void {
    this.looked = id
    this.before = false
  }
  step(by: number): void {
    const ids = [null, ...this.results.candidates.map((one) => one.picture.id)]
    const at = Math.max(0, ids.indexOf(this.looked))
    this.look(ids[(at + by + ids.length) % ids.length])
  }
  accept({ picture, begun }: Candidate): void {
    const masked = TOOLS.find((one) => one.name === begun.tool)?.roles.includes('mask') ?? false
    const next = shownOf(picture)
    const states = this.states.filter((one) => one.ref !== next.ref)
    this.#go([...states, next], states.length, !masked, picture.id)
  }
  async discard({ picture: { id } }: Candidate): Promise<void> {
    const { candidates } = this.results
    const at = candidates.findIndex((one) => one.picture.id === id)
    this.look((candidates[at + 1] ?? candidates[at - 1])?.picture.id ?? null)
    this.results.drop(id)
    const back = () => {
      this.results.back(id)
      this.look(id)
    }
    try {
      await api.pictures.drop(id)
      toast(t('canvas.discarded'), { action: { label: t('shell.undo'), run: () => api.pictures.undelete(id).then(back, toast.error) } })
    } catch (error) {
      back()
      toast.error(error)
    }
  }
  star(candidate: Candidate): Promise<void> {
    return this.results.star(candidate).catch(toast.error)
  }
  /** All stay in the gallery; the strip is free again. */
  keepAll(): void {
    toast(t('canvas.keptAll', this.results.candidates.length))
    this.results.clear()
    this.look(null)
  }
}

export const work = new Work()
