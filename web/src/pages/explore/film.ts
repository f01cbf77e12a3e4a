/** A film that passes from key to key: what it is made of, what is at a time of it, and what the task takes. */

import type { Options } from '$lib/types'
import { asked, round, type Mix, type Point } from './point'

export interface Key {
  id: number
  seed: number
  slides: Record<string, number>
  time: number
}
export interface Film {
  keys: Key[]
  loop: boolean
  seconds: number
  fps: number
  scale: number
  format: 'webp' | 'gif' | 'mp4'
}
export const FILM: Film = { keys: [], loop: false, seconds: 6, fps: 30, scale: 4, format: 'webp' }

/** The last key's time; 0 without keys. */
export const ending = ({ keys }: Film) => keys.at(-1)?.time ?? 0

/** Seconds from the first picture to the last. */
export const length = (film: Film) => (film.loop ? film.seconds : ending(film))

/** What is drawn at a time: straight from the key before to the key after. rest: labels, text, choices. */
export function during(film: Film, time: number, rest: Point): Point {
  const points = film.loop ? [...film.keys, { ...film.keys[0], time: film.seconds }] : film.keys
  const next = points.findIndex((key) => key.time > time)
  const [a, b] = next < 0 ? [points.at(-1)!, points.at(-1)!] : [points[Math.max(0, next - 1)], points[next]]
  const share = b.time > a.time ? Math.min(1, Math.max(0, (time - a.time) / (b.time - a.time))) : 0
  const slides: Record<string, number> = {}
  for (const name of new Set([...Object.keys(a.slides), ...Object.keys(b.slides)])) {
    slides[name] = (a.slides[name] ?? 0) * (1 - share) + (b.slides[name] ?? 0) * share
  }
  const mix: Mix | null = a.seed === b.seed || share === 0 || share === 1 ? null : [[a.seed, 1 - share], [b.seed, share]]
  return { ...rest, seed: share === 1 ? b.seed : a.seed, mix, slides }
}

/** The options of the task "animate". */
export function animated(film: Film, run: number, point: Point): Options {
  const { keys, loop, seconds, fps, format, scale } = film
  const names = new Set(keys.flatMap((key) => Object.keys(key.slides).filter((name) => key.slides[name])))
  const slide = [...names].map((name) => {
    const at = keys.map((key) => `${round(key.slides[name] ?? 0)}@${key.time}`)
    if (loop) at.push(`${round(keys[0].slides[name] ?? 0)}@${seconds}`)
    return `${name}=${at.join(',')}`
  })
  const seeds = keys.map((key) => `${key.seed}@${key.time}`).join(',')
  return { ...asked(run, point), seeds, seconds: length(film), fps, loop, format, scale, slide }
}
