/** The pictures that fit the address, fetched as they come into view, and kept up to date by events. */

import { api, ApiError } from '$lib/api'
import { onEvent } from '$lib/events'
import { router } from '$lib/router.svelte'
import type { Picture, PictureQuery } from '$lib/types'

const PAGE = 100
const AT_ONCE = 2 // pages that are asked for at the same time
const SOON = 400 // milliseconds after an event until the list is fetched anew
const ALL = 1000 // most that the studio tells in one answer

const SIZES: Record<string, { min_side?: number; max_side?: number }> = {
  s: { max_side: 64 }, m: { min_side: 65, max_side: 256 }, l: { min_side: 257, max_side: 1024 }, xl: { min_side: 1025 },
}
/** Names in the address; all else of it is left alone. */
export const FILTERS = ['q', 'board', 'starred', 'run', 'task', 'colour', 'size', 'shape', 'kind', 'seed'] as const
export type Filter = (typeof FILTERS)[number]

function asked(query: URLSearchParams): PictureQuery {
  const get = (name: string) => query.get(name) || undefined
  return {
    q: get('q'), board: get('board'), starred: query.get('starred') === '1' || undefined, run: get('run'), task: get('task'),
    colour: get('colour'), shape: get('shape') as PictureQuery['shape'], kind: get('kind') as PictureQuery['kind'], seed: get('seed'),
    sort: get('sort') as PictureQuery['sort'], ...SIZES[query.get('size') ?? ''],
  }
}

export class Shown {
  total = $state(0)
  /** By place; undefined where it was not fetched yet. */
  items = $state.raw<(Picture | undefined)[]>([])
  loaded = $state(false)
  error = $state.raw<ApiError | null>(null)
  readonly #places = $derived(new Map(this.items.map((one, at) => [one?.id, at])))
  #query: PictureQuery = {}
  #name = ''
  #turn = 0
  #range: [number, number] = [0, PAGE]
  #asked = new Set<number>()
  #going = 0
  #fresh = true // whether anything has come since it was fetched anew
  #timer = 0
  #stops: (() => void)[]

  constructor() {
    this.#stops = [
      onEvent('picture', (picture) => this.#changed(picture)),
      onEvent('gone', ({ kind, id }) => kind === 'picture' && this.remove([id])),
      onEvent('reset', () => this.refresh()),
    ]
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#turn++
    this.#stops.forEach((stop) => stop())
  }

  /** Show what an address asks for; nothing happens where that is shown already. */
  show(query: URLSearchParams): void {
    const next = asked(query)
    const name = JSON.stringify(next)
    if (name === this.#name) return
    this.#query = next
    this.#name = name
    this.refresh()
  }

  /** Fetch anew what is in view; what is there stays until then. */
  refresh(): void {
    this.#fresh = false
    this.#again(true)
  }

  /** Places from..to are in view. */
  want(from: number, to: number): void {
    this.#range = [from, to]
    this.#pump()
  }

  /** The ids of places from..to, fetched where they are not there. */
  async ids(from: number, to: number): Promise<string[]> {
    const here = this.items.slice(from, to)
    if (here.length === to - from && here.every(Boolean)) return here.map((one) => one!.id)
    const out: string[] = []
    for (let at = from; at < to; at += ALL) {
      const { pictures } = await api.pictures.list({ ...this.#query, offset: at, limit: Math.min(ALL, to - at) })
      out.push(...pictures.map((one) => one.id))
      if (!pictures.length) break
    }
    return out
  }

  place(id: string): number {
    return this.#places.get(id) ?? -1
  }

  get(id: string): Picture | undefined {
    return this.items[this.place(id)]
  }

  /** Say at once what the studio will say in a moment. */
  change(ids: Iterable<string>, values: Partial<Picture>): void {
    const some = new Set(ids)
    this.items = this.items.map((one) => (one && some.has(one.id) ? { ...one, ...values } : one))
  }

  remove(ids: Iterable<string>): void {
    const some = new Set(ids)
    const left = this.items.filter((one) => !one || !some.has(one.id))
    const gone = this.items.length - left.length
    if (!gone) return
    this.items = left
    this.total = Math.max(0, this.total - gone)
    this.#again() // what is on its way has the old places
  }

  #changed(picture: Picture): void {
    const at = this.place(picture.id)
    if (at >= 0) this.items = this.items.with(at, picture)
    else {
      clearTimeout(this.#timer)
      this.#timer = window.setTimeout(() => this.refresh(), SOON)
    }
  }

  /** Nothing that is on its way counts any more. */
  #again(anew = false): void {
    this.#turn++
    this.#going = 0
    this.#asked.clear()
    this.#pump(anew)
  }

  #pump(anew = false): void {
    const [from, to] = this.#range
    for (let at = Math.floor(from / PAGE) * PAGE; at < Math.max(to, 1) && this.#going < AT_ONCE; at += PAGE) {
      if (this.#asked.has(at) || (!anew && at >= this.total && at > 0)) continue
      if (!anew && this.loaded && this.#whole(at)) continue
      this.#fetch(at, anew)
    }
  }

  #whole(at: number): boolean {
    const end = Math.min(at + PAGE, this.total)
    for (let place = at; place < end; place++) if (!this.items[place]) return false
    return end > at
  }

  async #fetch(at: number, anew: boolean): Promise<void> {
    const turn = this.#turn
    this.#asked.add(at)
    this.#going++
    try {
      const { total, pictures } = await api.pictures.list({ ...this.#query, offset: at, limit: PAGE })
      if (turn !== this.#turn) return
      const [from, to] = this.#fresh ? [0, total] : this.#range // of a list fetched anew, what is in view stays until it comes
      this.#fresh = true
      const kept = (place: number) => (place >= from && place < to ? this.items[place] : undefined)
      const next = Array.from({ length: total }, (_, place) => kept(place)) // without holes, which filter and every skip
      pictures.forEach((picture, number) => (next[at + number] = picture))
      this.items = next
      this.total = total
      this.loaded = true
      this.error = null
    } catch (error) {
      if (turn !== this.#turn) return
      this.#asked.delete(at)
      this.error = ApiError.from(error)
      return
    } finally {
      if (turn === this.#turn) this.#going--
    }
    this.#asked.delete(at)
    this.#pump()
  }
}

/** Addresses of the gallery keep what is filtered. */
export const place = (id = '', more: Record<string, string | null> = {}) => {
  const query = new URLSearchParams(router.query)
  query.delete('with')
  for (const [name, value] of Object.entries(more)) value === null ? query.delete(name) : query.set(name, value)
  const text = query.toString()
  return `/gallery${id ? `/${id}` : ''}${text ? `?${text}` : ''}`
}
