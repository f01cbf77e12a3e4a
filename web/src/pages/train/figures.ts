/** Curves out of the lines of a run's log. */

import { factName, t } from '$lib/i18n.svelte'
import type { RunLine } from '$lib/types'
import type { Series } from '$ui'

const ABOUT = new Set(['step', 'seen', 'best', 'measure', 'looked_at', 'over', 'warning', 'stop'])
const LOOKED = /^(fd|coverage|kinds|copied|contrast|saturation)/
const BESIDE = /\/|^(pictures\/s|rate|accuracy|strength|active|gap)$/

export type Group = 'losses' | 'distance' | 'coverage' | 'kinds' | 'more'

/** Which chart a figure is drawn on; null: none. */
export function groupOf(name: string): Group | null {
  if (ABOUT.has(name)) return null
  if (name.startsWith('fd')) return 'distance'
  if (/^(coverage|copied)/.test(name)) return 'coverage'
  if (name.startsWith('kinds')) return 'kinds'
  return LOOKED.test(name) || BESIDE.test(name) ? 'more' : 'losses'
}

/** A figure's name for people. */
export function figureName(name: string): string {
  if (name.startsWith('fd')) return t('train.fd')
  if (name.startsWith('coverage')) return t('train.coverage')
  const own = { kinds: t('train.kindsDrawn'), kinds_real: t('train.kindsReal'), copied: t('train.copiedDrawn'), copied_real: t('train.copiedReal'), contrast: t('train.contrast'), saturation: t('train.saturation'), rate: t('train.rate') }[name]
  if (own) return own
  const [part, what] = name.split('/')
  return what && part !== 'pictures' ? `${factName(part)}: ${what === 'gradient' ? t('train.gradient') : what === 'update' ? t('train.update') : what}` : factName(name)
}

export const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

/** All figures of a group as curves over pictures shown. */
export function seriesOf(lines: RunLine[], group: Group, smooth = 0): Series[] {
  const found = new Map<string, [number, number][]>()
  for (const line of lines) {
    for (const [name, value] of Object.entries(line)) {
      if (!isNumber(value) || groupOf(name) !== group) continue
      if (!found.has(name)) found.set(name, [])
      found.get(name)!.push([line.seen, value])
    }
  }
  return [...found].map(([name, points]) => ({ name: figureName(name), points: smooth ? smoothed(points, smooth) : points }))
}

/** One figure, or those whose names begin so, as the points of one curve. */
export function pointsOf(lines: RunLine[], begins: string, over: 'seen' | 'share' = 'seen', total = 1): [number, number][] {
  const points: [number, number][] = []
  for (const line of lines) {
    const name = Object.keys(line).find((one) => one.startsWith(begins))
    const value = name && line[name]
    if (isNumber(value)) points.push([over === 'share' ? line.seen / total : line.seen, value])
  }
  return points
}

/** A running mean, not biased at its beginning. */
export function smoothed(points: [number, number][], by: number): [number, number][] {
  let mean = 0
  let weight = 0
  return points.map(([x, y]) => {
    mean = by * mean + (1 - by) * y
    weight = by * weight + 1 - by
    return [x, mean / weight]
  })
}
