/** A scene of layers for several formats: what it is, what is chosen of it, what was made of it. */

import { api, ApiError } from '$lib/api'
import { onEvent } from '$lib/events'
import { History } from '$lib/history.svelte'
import { t } from '$lib/i18n.svelte'
import { jobs } from '$lib/jobs.svelte'
import { toast } from '$lib/toasts.svelte'
import type { Job, Picture, Ref } from '$lib/types'
import { quietly, recall, remember } from './keep'
import { set } from './lettering'
import { inFormat, Page, placed, PRESETS, type Placed, type Scene, type SceneLayer } from './placing'
import { firstScene, readScene } from './scenes'
import { View } from './view.svelte'

/** What is known of a picture in the scene, by its reference. */
interface Known {
  url: string
  name: string
  width: number
  height: number
}

export interface Saved {
  name: string
  at: string
  scene: Scene
}

/** What a format is called. */
export const formatName = (name: string) => (name in PRESETS ? t(`canvas.format_${name}` as 'canvas.format_square') : name)

class Compose {
  readonly view = new View()
  readonly history = new History()
  /** Of this tab; a new one goes on with what was made last. */
  scene = $state.raw<Scene>(recall<Scene | null>('scene', null) ?? recall<Scene | null>('scene', null, 'local') ?? firstScene())
  known = $state.raw<Record<string, Known>>(recall('known', {}, 'local'))
  format = $state(recall('format', 'square'))
  selected = $state<string | null>(null)
  /** Changes hold for the format that is shown alone. */
  only = $state(false)
  saved = $state.raw<Saved[]>(recall<Saved[]>('scenes', [], 'local'))

  making = $state.raw<{ job: string; preview: boolean }[]>(recall('composing', []))
  made = $state.raw<Record<string, Picture>>({})
  /** The true preview that is shown. */
  real = $state.raw<{ picture: Picture; format: string } | null>(null)
  error = $state.raw<ApiError | null>(null)
  sending = $state(false)

  names = $derived(Object.keys(this.scene.formats))
  shown = $derived(this.names.includes(this.format) ? this.format : (this.names[0] ?? 'square'))
  page = $derived(Page.of(this.scene, this.shown))
  layer = $derived(this.scene.layers.find((one) => one.id === this.selected) ?? null)
  /** The chosen layer as this format has it. */
  here = $derived(this.layer ? inFormat(this.scene, this.shown, this.layer) : null)

  #save = quietly(() => {
    remember('scene', this.scene)
    remember('scene', this.scene, 'local')
    const used = JSON.stringify([this.scene, this.saved])
    remember('known', Object.fromEntries(Object.entries(this.known).filter(([name]) => used.includes(name))), 'local')
  }, 300)
  #begun = false

  begin(): void {
    if (this.#begun) return
    this.#begun = true
    onEvent('job', (job) => this.making.some((one) => one.job === job.id) && this.#done(job))
    const look = () => this.making.forEach(({ job }) => api.jobs.get(job).then((found) => (jobs.put(found), this.#done(found)), () => this.#forget(job)))
    onEvent('reset', look)
    onEvent('gone', ({ kind, id }) => {
      if (kind === 'picture' && this.made[id]) this.made = Object.fromEntries(Object.entries(this.made).filter(([name]) => name !== id))
    })
    look()
    this.#learnAll()
  }

  /** key: quick changes under one key are one step. */
  put(scene: Scene, key?: string): void {
    const before = this.scene
    this.#turn(scene)
    this.history.push({ undo: () => this.#turn(before), redo: () => this.#turn(scene), key })
  }
  #turn(scene: Scene): void {
    this.scene = scene
    this.closeReal(false)
    this.#save()
  }
  /** Another scene in place of this one. */
  open(scene: Scene): void {
    this.selected = null
    this.put(scene)
    this.#learnAll()
  }
  #learnAll(): void {
    for (const { picture } of this.scene.layers) if (picture) this.learn(picture as Ref)
  }
  fresh(): void {
    this.open(firstScene())
  }

  /** Change a layer: in all formats, or, where wished, in the shown one alone. */
  change(id: string, values: Record<string, unknown>, key?: string, only = this.only): void {
    const { scene, shown } = this
    const named = key ? `${id} ${key}` : undefined
    if (!only) {
      const layers = scene.layers.map((one) => (one.id === id ? ({ ...one, ...values } as SceneLayer) : one))
      // what this format has of its own would hide the change
      const own = scene.formats[shown]?.layers?.[id]
      const clash = own && Object.keys(values).some((name) => name in own)
      const formats = clash ? { ...scene.formats, [shown]: { ...scene.formats[shown], layers: { ...scene.formats[shown].layers, [id]: { ...own, ...values } } } } : scene.formats
      this.put(clash ? { ...scene, formats } : { ...scene, layers }, named)
    } else {
      const format = scene.formats[shown] ?? {}
      this.put({ ...scene, formats: { ...scene.formats, [shown]: { ...format, layers: { ...format.layers, [id]: { ...format.layers?.[id], ...values } } } } }, named)
    }
  }
  /** Forget what the shown format has of its own for a layer. */
  asOthers(id: string): void {
    const { scene, shown } = this
    const { [id]: _, ...layers } = scene.formats[shown]?.layers ?? {}
    this.put({ ...scene, formats: { ...scene.formats, [shown]: { ...scene.formats[shown], layers } } })
  }

  /** A name that no layer has. */
  #free(name: string): string {
    let found = name
    for (let n = 2; this.scene.layers.some((one) => one.id === found); n++) found = `${name} ${n}`
    return found
  }
  add(layer: Omit<SceneLayer, 'id'> & { kind: SceneLayer['kind'] }, name: string): void {
    const id = this.#free(name)
    this.put({ ...this.scene, layers: [...this.scene.layers, { ...layer, id } as SceneLayer] })
    this.selected = id
  }
  async addPicture(found: Ref): Promise<void> {
    const known = await this.learn(found)
    if (!known) return
    const name = known.name.replace(/\.\w+$/, '').replace(/[/\\]/g, ' ').slice(0, 40) || 'picture'
    const [wide, high] = [known.width, known.height]
    this.add({ kind: 'picture', picture: found, ...(wide >= high ? { width: '60%' } : { height: '60%' }) }, name)
  }
  /** What a reference in a scene is. */
  async learn(found: Ref): Promise<Known | null> {
    if (this.known[found]) return this.known[found]
    try {
      const [kind, id] = found.split(':')
      let known: Known
      if (kind === 'picture') {
        const picture = await api.pictures.get(id)
        known = { url: picture.url, name: picture.name, width: picture.width, height: picture.height }
      } else {
        const url = `/api/uploads/${id}`
        const image = new Image()
        image.src = url
        await image.decode()
        known = { url, name: id, width: image.naturalWidth, height: image.naturalHeight }
      }
      this.known = { ...this.known, [found]: known }
      this.#save()
      return known
    } catch (error) {
      toast.error(error instanceof ApiError ? error : new ApiError(t('canvas.pictureGone'), t('canvas.pictureGoneHelp')))
      return null
    }
  }
  /** It was just uploaded. */
  tell(found: Ref, known: Known): void {
    this.known = { ...this.known, [found]: known }
  }

  remove(id: string): void {
    const formats = Object.fromEntries(Object.entries(this.scene.formats).map(([name, format]) => {
      const { [id]: _, ...layers } = format.layers ?? {}
      return [name, { ...format, layers }]
    }))
    this.put({ ...this.scene, layers: this.scene.layers.filter((one) => one.id !== id), formats })
    if (this.selected === id) this.selected = null
  }
  copy(id: string): void {
    const found = this.scene.layers.find((one) => one.id === id)
    if (!found) return
    const { id: _, ...rest } = found
    const shift = (text: unknown) => `${String(text ?? '50%').trim()} + 3%`
    const name = this.#free(found.id.replace(/ \d+$/, ''))
    const formats = Object.fromEntries(Object.entries(this.scene.formats).map(([key, format]) => {
      const own = format.layers?.[id]
      const moved = own && Object.fromEntries(Object.entries(own).map(([side, value]) => [side, side === 'x' || side === 'y' ? shift(value) : value]))
      return [key, moved ? { ...format, layers: { ...format.layers, [name]: moved } } : format]
    }))
    this.put({ ...this.scene, formats, layers: [...this.scene.layers, { ...rest, id: name, x: shift(found.x), y: shift(found.y) }] })
    this.selected = name
  }
  rename(id: string, next: string): void {
    const name = next.trim().replace(/[/\\]/g, ' ').slice(0, 80)
    if (!name || name === id || this.scene.layers.some((one) => one.id === name)) return
    const formats = Object.fromEntries(Object.entries(this.scene.formats).map(([key, format]) => {
      const { [id]: own, ...layers } = format.layers ?? {}
      return [key, own ? { ...format, layers: { ...layers, [name]: own } } : format]
    }))
    this.put({ ...this.scene, layers: this.scene.layers.map((one) => (one.id === id ? { ...one, id: name } : one)), formats })
    if (this.selected === id) this.selected = name
  }
  /** To a place in the list; 0 is the lowest. */
  move(id: string, to: number): void {
    const from = this.scene.layers.findIndex((one) => one.id === id)
    const at = Math.min(this.scene.layers.length - 1, Math.max(0, to))
    if (from < 0 || from === at) return
    const layers = [...this.scene.layers]
    layers.splice(at, 0, ...layers.splice(from, 1))
    this.put({ ...this.scene, layers })
  }

  toggle(name: string, size = PRESETS[name]): void {
    const formats = { ...this.scene.formats }
    if (name in formats) {
      if (Object.keys(formats).length === 1) return
      delete formats[name]
    } else formats[name] = name in PRESETS ? {} : { size }
    this.put({ ...this.scene, formats })
    if (name in formats) this.show(name)
  }
  show(name: string): void {
    this.format = name
    this.closeReal(false)
    remember('format', name)
  }

  /** Where a layer lies on a page, and its words where it has some. */
  place(page: Page, format: string, layer: SceneLayer): { box: Placed; layer: SceneLayer; block: ReturnType<typeof set> | null } {
    const { layer: here, own } = inFormat(this.scene, format, layer)
    const block = here.kind === 'text' ? set(page, here, own) : null
    const known = here.picture ? this.known[here.picture] : undefined
    const natural: [number, number] = block ? [block.width, block.height] : known ? [known.width, known.height] : [page.width / page.scale / 2, page.height / page.scale / 2]
    return { box: placed(page, here, own, natural), layer: here, block }
  }

  // What is made of it.

  async make(preview: boolean): Promise<void> {
    if (this.sending) return
    this.sending = true
    this.error = null
    try {
      const job = await jobs.run('compose', { scene: this.scene, ...(preview ? { only: [this.shown] } : {}) }, 1)
      this.making = [...this.making.filter((one) => one.preview !== preview || this.#going(one.job)), { job: job.id, preview }]
      remember('composing', this.making)
    } catch (error) {
      this.error = ApiError.from(error)
    }
    this.sending = false
  }
  #going(id: string): boolean {
    const job = jobs.get(id)
    return !!job && !['done', 'failed', 'cancelled'].includes(job.status)
  }
  going = $derived(this.making.flatMap((one) => {
    const job = jobs.get(one.job)
    return job && !['done', 'failed', 'cancelled'].includes(job.status) ? [{ ...one, job }] : []
  }))
  /** What the last making of all formats gave. */
  results = $derived.by(() => {
    const last = this.making.filter((one) => !one.preview).at(-1)
    return (last ? (jobs.get(last.job)?.result?.pictures ?? []) : []).map((id) => this.made[id]).filter((one) => !!one)
  })
  async #done(job: Job): Promise<void> {
    if (job.status === 'cancelled') this.#forget(job.id)
    if (job.status === 'failed' && job.error) {
      this.error = new ApiError(job.error.problem, job.error.remedy)
      this.#forget(job.id)
    }
    if (job.status !== 'done') return
    const found = (await Promise.all((job.result?.pictures ?? []).map((id) => this.made[id] ?? api.pictures.get(id).catch(() => null)))).filter((one) => one !== null)
    this.made = { ...this.made, ...Object.fromEntries(found.map((one) => [one.id, one])) }
    const wish = this.making.find((one) => one.job === job.id)
    if (wish?.preview && found[0]) {
      this.#forget(job.id)
      this.closeReal(false)
      this.real = { picture: found[0], format: (job.options.only as string[] | undefined)?.[0] ?? this.shown }
      if (this.real.format !== this.shown) this.closeReal(false)
    }
  }
  #forget(id: string): void {
    this.making = this.making.filter((one) => one.job !== id)
    remember('composing', this.making)
  }
  /** A true preview goes to the trash when it is closed, unless it is kept. */
  async closeReal(keep: boolean): Promise<void> {
    const { real } = this
    this.real = null
    if (!real || keep) return
    try {
      await api.pictures.drop(real.picture.id)
    } catch (error) {
      toast.error(error)
    }
  }

  // Scenes that are kept in this browser, or as files.

  keepAs(name: string): boolean {
    return this.#keep([{ name, at: new Date().toISOString(), scene: this.scene }, ...this.#others(name)])
  }
  forgetSaved(name: string): void {
    this.#keep(this.#others(name))
  }
  /** As they are now: another tab may have kept some. */
  #others(name: string): Saved[] {
    return recall<Saved[]>('scenes', [], 'local').filter((one) => one.name !== name)
  }
  #keep(saved: Saved[]): boolean {
    if (!remember('scenes', saved, 'local')) return false
    this.saved = saved
    this.#save()
    return true
  }
  /** Out of a file; throws an ApiError for what is no scene. */
  read(text: string): void {
    this.open(readScene(text))
  }
}

export const compose = new Compose()
