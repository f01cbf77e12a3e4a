/**
 * A run that is explored: where one is in it, and the picture there. A change is sent at once and its picture painted
 * as it arrives, past Svelte; what is told in words follows at most ten times a second.
 */

import { api, ApiError } from '$lib/api'
import { History } from '$lib/history.svelte'
import { keep, kept } from '$lib/kept'
import { Live, paint, type Frame } from '$lib/live'
import { router } from '$lib/router.svelte'
import type { Drawing, Run } from '$lib/types'
import { FILM, type Film } from './film'
import { START, fromQuery, toQuery, whole, wish, type Point } from './point'
import { Smalls } from './smalls.svelte'

const TOLD = 100 // milliseconds between two changes of words
const QUIET = 160 // without a new picture, until small ones are made of it
const MISSING = 900 // and small pictures are drawn of seeds that were passed too quickly
const SLOW = 60 // milliseconds for a picture, above which it is drawn at half the sides while something is dragged
const STRIP = 32 // seeds that are remembered
const MAP = 64 // seeds of which small pictures are drawn at once

interface Remembered {
  point: Point
  strip: number[]
  film: Film
}

export class Explorer {
  readonly history = new History()
  point = $state.raw<Point>(START)
  film = $state.raw<Film>(FILM)
  strip = $state.raw<number[]>([])
  drawing = $state.raw<Drawing | null>(null)
  width = $state(0)
  height = $state(0)
  /** Whether a picture has come since this run was opened. */
  shown = $state(false)
  /** Not connected for a while: worth a word. */
  away = $state(false)
  problem = $state.raw<ApiError | null>(null)
  /** Milliseconds that the last picture took, from the wish to the canvas. */
  took = $state(0)
  /** The model has learned further than what is shown. */
  newer = $state(false)

  readonly smalls: Smalls
  #canvas: HTMLCanvasElement | null = null
  #live: Live
  #sent = new Map<number, { at: number; point: Point; half: boolean }>()
  #before: Point | null = null
  #slow = false
  #told = 0
  #last: { point: Point; half: boolean } | null = null
  #timers = { quiet: 0, address: 0, away: 0, missing: 0 }
  #closed = false

  constructor(readonly run: Run) {
    this.smalls = new Smalls(run.number, (seed) => this.#seeds().includes(seed))
    this.#restore()
    this.width = run.width
    this.height = run.height
    this.#live = new Live(`/api/live/explore/${run.number}`, {
      frame: (frame) => this.#frame(frame),
      text: (message) => this.#text(message),
      state: (open) => this.#state(open),
    })
    this.draw()
    this.visit()
    this.look()
    if (this.strip.length > 1) this.smalls.draw(this.#seeds(), this.point)
  }

  close(): void {
    this.#closed = true
    this.#save()
    Object.values(this.#timers).forEach(clearTimeout)
    this.#live.close()
    this.smalls.close()
  }

  /** The canvas that pictures are painted onto. */
  on(canvas: HTMLCanvasElement): () => void {
    const old = this.#canvas
    if (old && old !== canvas && old.width) {
      canvas.width = old.width
      canvas.height = old.height
      canvas.getContext('2d')!.drawImage(old, 0, 0)
    }
    this.#canvas = canvas
    return () => this.#canvas === canvas && (this.#canvas = null)
  }

  /** What the model can be asked: its sliders, its choices. Also when these may have changed. */
  async look(): Promise<Drawing | null> {
    try {
      const found = await api.runs.drawing(this.run.number)
      if (this.#closed) return null
      const names = new Set(found.sliders.map((one) => one.name))
      const lost = Object.keys(this.point.slides).filter((name) => !names.has(name))
      this.drawing = found
      const slides = Object.fromEntries(Object.entries(this.point.slides).filter(([name]) => names.has(name)))
      const own = found.knobs.properties ?? {}
      const asks = this.point.label !== null || this.point.text !== null // then a model has other choices of its own
      const knobs = Object.fromEntries(Object.entries(this.point.knobs).filter(([name, value]) => asks || own[name]?.default !== value))
      this.point = { ...this.point, slides, knobs }
      if (lost.length) this.draw()
      this.#later()
      return found
    } catch (error) {
      this.problem ??= ApiError.from(error)
      return null
    }
  }

  /** Draw a point, the present one if none is given. It is not gone to. */
  draw(point: Point = this.point, half = false): void {
    const at = performance.now()
    const small = half && this.#slow
    const id = this.#live.send(small ? { ...wish(point), half: true } : wish(point))
    this.#sent.set(id, { at, point, half: small })
    if (this.#sent.size > 200) for (const old of this.#sent.keys()) if (old < id - 100) this.#sent.delete(old)
  }

  /** Go somewhere: a step that can be undone. Steps of one key that follow quickly are one. */
  go(change: Partial<Point>, key?: string): void {
    const before = this.#before ?? this.point
    const after = { ...this.point, ...change }
    this.#before = null
    this.#at(after)
    this.history.push({ undo: () => this.#at(before), redo: () => this.#at(after), key })
  }

  /** Move on while something is dragged; `go` then makes one step of all. */
  touch(change: Partial<Point>): void {
    this.#before ??= this.point
    this.point = { ...this.point, ...change }
    this.draw(this.point, true)
  }

  /** Go to a seed, as it is without a mixture. */
  seed(seed: number): void {
    this.go({ seed: whole(seed), mix: null })
  }

  setFilm(change: Partial<Film>, key?: string): void {
    const before = this.film
    const after = { ...before, ...change }
    this.film = after
    this.history.push({ undo: () => (this.film = before), redo: () => (this.film = after), key })
    this.#later()
  }

  /** Put the present seed into the strip. */
  visit(): void {
    const { seed, mix } = this.point
    if (mix || this.strip.includes(seed)) return
    this.strip = [...this.strip, seed].slice(-STRIP)
  }

  /** A new canvas with what is shown now; null before there is something. */
  copy(): HTMLCanvasElement | null {
    const shown = this.#canvas
    if (!shown || !this.shown) return null
    const out = document.createElement('canvas')
    out.width = shown.width
    out.height = shown.height
    out.getContext('2d')!.drawImage(shown, 0, 0)
    return out
  }

  /** The model has newer weights: show what they draw. */
  renew(): void {
    this.newer = false
    this.smalls.clear()
    this.look()
    this.draw()
    this.smalls.draw(this.#seeds(), this.point)
  }

  /** Those that are shown small somewhere. */
  #seeds(): number[] {
    const mixed = (this.point.mix ?? []).map(([seed]) => seed)
    const all = [...this.film.keys.map((key) => key.seed), ...this.strip, ...mixed]
    return [...new Set(all)].slice(-MAP)
  }

  #at(point: Point): void {
    this.point = point
    this.draw()
    this.visit()
    this.#later()
  }

  #frame(frame: Frame): void {
    const canvas = this.#canvas
    if (!canvas) return
    const sent = this.#sent.get(frame.header.id)
    this.#sent.delete(frame.header.id)
    const painted = paint(canvas, frame)
    const done = () => this.#painted(frame.header.id, sent)
    if (painted) painted.then(done)
    else done()
  }

  #painted(id: number, sent: { at: number; point: Point; half: boolean } | undefined): void {
    if (!sent) return
    this.#last = sent
    const painted = performance.now()
    if (!sent.half) this.#slow = painted - sent.at > SLOW
    requestAnimationFrame(() => {
      const detail = { id, sent: sent.at, painted, drawn: performance.now() }
      window.dispatchEvent(new CustomEvent('gesso:drawn', { detail }))
    })
    if (!this.shown) this.shown = true
    if (this.problem) this.problem = null
    if (painted - this.#told > TOLD) {
      this.#told = painted
      this.took = painted - sent.at
    }
    clearTimeout(this.#timers.quiet)
    this.#timers.quiet = window.setTimeout(() => this.#quiet(), QUIET)
  }

  #quiet(): void {
    clearTimeout(this.#timers.missing)
    this.#timers.missing = window.setTimeout(() => {
      this.smalls.draw(this.#seeds().filter((seed) => !this.smalls.has(seed)), this.point)
    }, MISSING)
    const last = this.#last
    const canvas = this.#canvas
    if (!last || !canvas || last.half || last.point !== this.point || last.point.mix) return
    this.smalls.take(last.point.seed, canvas)
  }

  #text(message: Record<string, unknown>): void {
    if (message.ready) {
      this.width = Number(message.width)
      this.height = Number(message.height)
    } else if (typeof message.problem === 'string') {
      const remedy = String(message.remedy ?? '')
      this.problem = new ApiError(message.problem, remedy)
      if (/slider/i.test(message.problem)) this.look()
    }
  }

  #state(open: boolean): void {
    clearTimeout(this.#timers.away)
    if (open) this.away = false
    else this.#timers.away = window.setTimeout(() => (this.away = true), 1200)
  }

  /** Into the address and this tab's memory, when things have come to rest. */
  #later(): void {
    clearTimeout(this.#timers.address)
    this.#timers.address = window.setTimeout(() => this.#save(), 400)
  }

  #save(): void {
    if (!this.#closed && router.page === 'explore' && router.param === String(this.run.number)) router.setQuery(toQuery(this.point))
    const remembered: Remembered = { point: this.point, strip: this.strip, film: this.film }
    keep(memory(this.run), JSON.stringify(remembered), { tab: true })
    keep('explore', String(this.run.number), { tab: true })
  }

  #restore(): void {
    const asked = fromQuery(router.query)
    try {
      const { point, strip, film } = JSON.parse(kept(memory(this.run), { tab: true }) ?? '{}') as Partial<Remembered>
      this.point = { ...START, ...point }
      this.strip = strip ?? []
      this.film = { ...FILM, ...film }
    } catch {
      /* begin anew */
    }
    if (asked) this.point = asked
    this.#later()
  }
}

const memory = (run: Run) => `explore.${run.folder}`
