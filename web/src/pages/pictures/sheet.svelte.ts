/** One data set as it is looked at and edited: what is shown of it, what is taken, what is changed and not saved yet. */

import { api, ApiError } from '$lib/api'
import { Values } from '$lib/history.svelte'
import type { Box, DatasetDetail, DatasetPicture, Edit, Run, Said } from '$lib/types'

export type Word = keyof Said
export const WORDS: Word[] = ['text', 'label', 'licence', 'creator', 'consent']

/** What is to become of one picture. source: by which it is known again when the numbers have changed. */
type Change = { source: string; drop?: true; crop?: Box } & Partial<Record<Word, string>>
type Changes = ReadonlyMap<number, Change>

const PAGE = 200
const ALL = 2000 // pictures of one answer, where all are wanted
const KEY = 'gesso.edits.'

export class Sheet {
  detail = $state.raw<DatasetDetail | null>(null)
  error = $state.raw<ApiError | null>(null)
  /** Trainings that learned from it. */
  runs = $state.raw<Run[]>([])
  label = $state('')
  words = $state('')
  filtered = $derived(this.label !== '' || this.words.trim() !== '')
  total = $state(0)
  /** What is shown, in its order; what has not come yet is undefined. */
  shown = $state.raw<(DatasetPicture | undefined)[]>([])
  taken = $state.raw<ReadonlySet<number>>(new Set())
  /** Someone else has changed it, and there are edits of it here. */
  other = $state(false)
  known = $state.raw<ReadonlyMap<number, DatasetPicture>>(new Map())
  #values = new Values<Changes>(new Map())
  history = this.#values.history
  changes = $derived(this.#values.now)
  /** Whether what is changed is part of the fingerprint, so that runs no longer fit. */
  unfit = $derived([...this.changes.values()].some((one) => one.drop || one.crop || one.label !== undefined))

  /** While it is being saved, nothing more can be changed. */
  saving = $state(false)

  #turn = 0
  #asked = new Set<number>()
  #range: [from: number, to: number] = [0, 0]
  #fingerprint = ''
  #version = 0 // of the fingerprint: what was asked for under an older one is not taken
  #restored = $state(false)

  constructor(readonly name: string) {}

  async load(): Promise<void> {
    const version = this.#version
    try {
      const [detail, runs] = await Promise.all([api.datasets.get(this.name), api.runs.list().catch(() => [])])
      if (this.saving || version !== this.#version) return
      const first = !this.detail
      this.runs = runs.filter((run) => run.name === this.name)
      this.error = null
      if (first) {
        this.detail = detail
        this.#fingerprint = detail.fingerprint
        await this.filter()
        await this.#restore()
        this.#restored = true
      } else await this.#again(detail)
    } catch (error) {
      this.error = ApiError.from(error)
    }
  }

  async #again(detail: DatasetDetail): Promise<void> {
    this.detail = detail
    const other = detail.fingerprint !== this.#fingerprint
    if (other && this.changes.size) {
      this.other = true
      return
    }
    if (other) this.#take(detail)
    await this.filter(!other)
  }

  /** Other pictures have these numbers now: nothing that was said by number holds any more. */
  #take(detail: DatasetDetail, changes: Changes = new Map(), known: DatasetPicture[] = []): void {
    this.#version++
    this.known = new Map(known.map((picture) => [picture.index, picture]))
    this.detail = detail
    this.#fingerprint = detail.fingerprint
    this.#values.now = changes
    this.history.clear()
    this.taken = new Set()
    this.other = false
  }

  /** Fetch anew what the filters ask for. What was shown stays until the first of it has come; same: until all has. */
  async filter(same = false): Promise<void> {
    const turn = ++this.#turn
    const asked = new Set<number>([0])
    try {
      const page = await this.#page(0, PAGE)
      if (turn !== this.#turn) return
      this.#asked = asked
      this.total = page.total
      const shown = same && page.total === this.shown.length ? this.shown.slice() : new Array<DatasetPicture | undefined>(page.total)
      page.pictures.forEach((picture, at) => (shown[at] = picture))
      this.shown = shown
      this.error = null
      this.need(...this.#range)
    } catch (error) {
      if (turn === this.#turn) this.error = ApiError.from(error)
    }
  }

  #page = async (offset: number, limit: number, filtered = true) => {
    const page = await api.datasets.pictures(this.name, {
      offset, limit, ...(filtered ? { label: this.label, q: this.words.trim() } : {}),
    })
    const known = new Map(this.known)
    for (const picture of page.pictures) known.set(picture.index, picture)
    this.known = known
    return page
  }

  /** Tiles from..to are in the page. */
  need(from: number, to: number): void {
    const turn = this.#turn
    this.#range = [from, to]
    for (let page = Math.floor(from / PAGE); page * PAGE < Math.min(to, this.total); page++) {
      if (this.#asked.has(page)) continue
      this.#asked.add(page)
      this.#page(page * PAGE, PAGE).then(
        (found) => {
          if (turn !== this.#turn) return
          const shown = this.shown.slice()
          found.pictures.forEach((picture, at) => (shown[page * PAGE + at] = picture))
          this.shown = shown
        },
        () => this.#asked.delete(page),
      )
    }
  }

  /** All that the filters let through; null where they were changed meanwhile. */
  async all(): Promise<DatasetPicture[] | null> {
    const turn = this.#turn
    const found: DatasetPicture[] = []
    while (found.length < this.total) {
      const page = await this.#page(found.length, ALL)
      if (turn !== this.#turn) return null
      if (!page.pictures.length) break
      found.push(...page.pictures)
    }
    this.shown = found
    return found
  }

  /** Pictures by their numbers, whatever the filters say. */
  async fetch(indices: number[]): Promise<void> {
    const pages = new Set(indices.filter((at) => !this.known.has(at)).map((at) => Math.floor(at / PAGE)))
    await Promise.all([...pages].map((page) => this.#page(page * PAGE, PAGE, false)))
  }

  /** A picture as it will be. */
  now(picture: DatasetPicture): DatasetPicture & Change {
    return { ...picture, ...this.changes.get(picture.index) } as DatasetPicture & Change
  }

  /** What is said of all that are taken: null where it differs. */
  common(word: Word): string | null {
    let found: string | null = null
    for (const at of this.taken) {
      const picture = this.known.get(at)
      if (!picture) continue
      const value = this.changes.get(at)?.[word] ?? picture[word] ?? ''
      if (found === null) found = value
      else if (found !== value) return null
    }
    return found ?? ''
  }

  #set(indices: Iterable<number>, changed: (before: Change, picture: DatasetPicture) => Change, key?: string): void {
    const next = new Map(this.changes)
    for (const at of indices) {
      const picture = this.known.get(at)
      if (!picture) continue
      const change = changed(next.get(at) ?? { source: picture.source }, picture)
      for (const word of WORDS) if (change[word] === (picture[word] ?? '')) delete change[word]
      if (Object.keys(change).length > 1) next.set(at, change)
      else next.delete(at)
    }
    this.#values.set(next, key)
  }

  /** Those that are taken and not to be dropped. */
  staying(): number[] {
    return [...this.taken].filter((at) => !this.changes.get(at)?.drop)
  }

  say(word: Word, value: string): void {
    this.#set(this.taken, (before) => ({ ...before, [word]: value }), `${word} ${[...this.taken].slice(0, 50).join()}`)
  }

  drop(indices: Iterable<number> = this.taken): void {
    this.#set(indices, (before) => ({ ...before, drop: true }))
  }

  restore(indices: Iterable<number> = this.taken): void {
    this.#set(indices, ({ drop: _, ...before }) => before as Change)
  }

  crop(indices: Iterable<number>, box: Box | null): void {
    this.#set(indices, ({ crop: _, ...before }) => (box ? { ...before, crop: box } : before) as Change)
  }

  /** Nothing is to be changed. It can be undone, but where the set is another one by now. */
  discard(): void {
    const other = this.other
    this.#values.set(new Map())
    this.other = false
    if (other) this.load()
  }

  /** The set is gone, and so is what was to become of it. */
  forget(): void {
    this.#values.now = new Map()
    this.keep()
  }

  /** What the studio is told: the same said of many is one edit. */
  edits(): Edit[] {
    const said = new Map<string, number[]>()
    const dropped: number[] = []
    const crops = new Map<string, number[]>()
    const add = (map: Map<string, number[]>, key: string, at: number) => {
      if (!map.has(key)) map.set(key, [])
      map.get(key)!.push(at)
    }
    for (const [at, { source: _, drop, crop, ...words }] of this.changes) {
      if (drop) dropped.push(at)
      else {
        if (Object.keys(words).length) add(said, JSON.stringify(words), at)
        if (crop) add(crops, JSON.stringify(crop), at)
      }
    }
    return [
      ...[...said].map(([words, pictures]): Edit => ({ kind: 'set', pictures, ...JSON.parse(words) })),
      ...[...crops].map(([box, pictures]): Edit => ({ kind: 'crop', pictures, box: JSON.parse(box) })),
      ...(dropped.length ? [{ kind: 'drop', pictures: dropped } as Edit] : []),
    ]
  }

  /** Save what is changed, here or in a copy. Throws an ApiError; 409 where someone else was quicker. */
  async save(copy = ''): Promise<void> {
    this.saving = true
    try {
      if (copy) await this.#saveCopy(copy)
      else {
        this.#take(await api.datasets.edit(this.name, this.#fingerprint, this.edits()))
        await this.filter()
      }
    } catch (error) {
      if (ApiError.from(error).status === 409) this.other = true
      throw error
    } finally {
      this.saving = false
    }
  }

  async #saveCopy(name: string): Promise<void> {
    const made = await api.datasets.copy(this.name, name)
    try {
      // The numbers are those of the set as it was read; of another one the studio says so.
      await api.datasets.edit(name, this.#fingerprint, this.edits())
    } catch (error) {
      await api.datasets.drop(made.name).catch(() => {})
      throw error
    }
    this.forget()
    this.history.clear()
  }

  /** Take what is there now, and keep the edits of pictures that are still in it. Returns how many fell away. */
  async rebase(): Promise<number> {
    const detail = await api.datasets.get(this.name)
    const all: DatasetPicture[] = []
    while (all.length < detail.count) {
      const page = await api.datasets.pictures(this.name, { offset: all.length, limit: ALL })
      if (!page.pictures.length) break
      all.push(...page.pictures)
    }
    const places = new Map<string, number[]>()
    for (const one of all) places.set(one.source, [...(places.get(one.source) ?? []), one.index])
    const next = new Map<number, Change>()
    for (const [at, change] of this.changes) {
      const found = places.get(change.source) ?? []
      const place = found.includes(at) ? at : found.length === 1 ? found[0] : undefined
      if (place !== undefined) next.set(place, change)
    }
    const lost = this.changes.size - next.size
    this.#take(detail, next, all)
    await this.filter()
    return lost
  }

  /** Keep what is not saved as long as the tab is there; call it whenever that has changed. */
  keep(): void {
    const changes = this.changes
    if (!this.#restored) return
    try {
      if (!changes.size) sessionStorage.removeItem(KEY + this.name)
      else sessionStorage.setItem(KEY + this.name, JSON.stringify({ of: this.#fingerprint, changes: [...changes] }))
    } catch {
      /* full or not allowed: they are kept as long as the page is */
    }
  }

  async #restore(): Promise<void> {
    let kept: { of: string; changes: [number, Change][] } | null = null
    try {
      kept = JSON.parse(sessionStorage.getItem(KEY + this.name) ?? 'null')
    } catch {
      return
    }
    if (!kept?.changes.length) return
    await this.fetch(kept.changes.slice(0, ALL).map(([at]) => at)).catch(() => {})
    this.#values.now = new Map(kept.changes)
    if (kept.of !== this.#fingerprint) this.other = true
  }
}
