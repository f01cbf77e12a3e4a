/** Where one is in a model: what is drawn there, in the words of the live socket, of tasks and of addresses. */

import type { Draw, Options } from '$lib/types'

export type Mix = [seed: number, weight: number][]

/** slides, knobs: only what differs from nothing and from the family's own. text: null where each seed has its own. */
export interface Point {
  seed: number
  mix: Mix | null
  slides: Record<string, number>
  knobs: Record<string, unknown>
  label: string | null
  text: string | null
}

export const START: Point = { seed: 0, mix: null, slides: {}, knobs: {}, label: null, text: null }
const MOST_SEED = 2 ** 52 // below which every whole number is exact

/** What is sent for a point. */
export function wish(point: Point): Draw {
  const out: Draw = { seed: point.seed }
  if (point.mix) out.mix = point.mix
  if (Object.keys(point.slides).length) out.slides = point.slides
  if (Object.keys(point.knobs).length) out.knobs = point.knobs
  if (point.label !== null) out.label = point.label
  if (point.text) out.text = point.text
  return out
}

/** A record with a value set, or without it. */
export function having<V>(record: Record<string, V>, name: string, value: V | undefined): Record<string, V> {
  const out = { ...record }
  if (value === undefined) delete out[name]
  else out[name] = value
  return out
}

/** Strengths as tasks take them: larger=1.5. */
export const slideWords = (slides: Record<string, number>) =>
  Object.entries(slides).filter(([, value]) => value).map(([name, value]) => `${name}=${round(value)}`)
const knobWords = (knobs: Record<string, unknown>) => Object.entries(knobs).map(([name, value]) => `${name}=${value}`)

export const round = (value: number) => Math.round(value * 1000) / 1000

/** What tasks of one run are asked in common; `text` is one text. */
export function asked(run: number, point: Point): Options {
  const out: Options = { run: String(run) }
  if (point.label !== null) out.label = point.label
  if (Object.keys(point.knobs).length) out.set = knobWords(point.knobs)
  if (point.text) out.text = point.text
  return out
}

/** ?seed=7&slides=larger=1.5,redder=-1&set=truncation=0.7&mix=3*0.5,9*0.5&label=rose&text=… */
export function toQuery(point: Point): Record<string, string | number | null> {
  return {
    seed: point.seed,
    slides: slideWords(point.slides).join(','),
    set: knobWords(point.knobs).join(','),
    mix: point.mix ? point.mix.map(([seed, weight]) => `${seed}*${round(weight)}`).join(',') : null,
    label: point.label,
    text: point.text,
  }
}

export function fromQuery(query: URLSearchParams): Point | null {
  const seed = query.get('seed')
  const mix = query.get('mix')
  if (!['seed', 'mix', 'slides', 'set', 'label', 'text'].some((name) => query.get(name))) return null
  const slides: Record<string, number> = {}
  for (const [name, value] of pairs(query.get('slides'))) if (Number.isFinite(Number(value))) slides[name] = Number(value)
  const knobs: Record<string, unknown> = {}
  for (const [name, value] of pairs(query.get('set'))) knobs[name] = read(value)
  const parts = (mix ?? '').split(',').filter(Boolean).map((part) => part.split('*').map(Number) as [number, number])
  return {
    seed: whole(Number(seed ?? 0)), slides, knobs,
    mix: parts.length > 1 && parts.every(([one, weight]) => Number.isSafeInteger(one) && weight > 0) ? parts.slice(0, 8) : null,
    label: query.get('label'), text: query.get('text'),
  }
}

function pairs(text: string | null): [string, string][] {
  return (text ?? '').split(/,(?=[\w-]+=)/).filter((part) => part.includes('=')).map((part) => {
    const at = part.indexOf('=')
    return [part.slice(0, at), part.slice(at + 1)]
  })
}

function read(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return value === 'True' ? true : value === 'False' ? false : value
  }
}

/** A seed that can be drawn. */
export const whole = (seed: number) => (Number.isFinite(seed) ? Math.min(MOST_SEED, Math.max(0, Math.floor(seed))) : 0)
export const anySeed = () => Math.floor(Math.random() * 100_000)

/** The mixture of a place between the four cells of a map around it. x, y: in cells, from the upper left corner. */
export function between(cells: Mix[], columns: number, x: number, y: number): Mix {
  const rows = Math.ceil(cells.length / columns)
  const u = Math.min(columns - 1, Math.max(0, x - 0.5))
  const v = Math.min(rows - 1, Math.max(0, y - 0.5))
  const [i, j] = [Math.min(columns - 2, Math.floor(u)), Math.min(rows - 2, Math.floor(v))]
  const [fx, fy] = [u - i, v - j]
  const sums = new Map<number, number>()
  const corners: [number, number, number][] = [
    [i, j, (1 - fx) * (1 - fy)], [i + 1, j, fx * (1 - fy)], [i, j + 1, (1 - fx) * fy], [i + 1, j + 1, fx * fy],
  ]
  for (const [column, row, share] of corners) {
    for (const [seed, weight] of cells[row * columns + column] ?? []) sums.set(seed, (sums.get(seed) ?? 0) + weight * share)
  }
  return [...sums].filter(([, weight]) => weight > 0.004).map(([seed, weight]) => [seed, Math.round(weight * 1e4) / 1e4])
}
