/** Frames around pictures, in the picture's pixels. */

import type { Spot } from './view.svelte'

export interface Frame {
  width: number
  height: number
  across: 'left' | 'centre' | 'right'
  down: 'top' | 'middle' | 'bottom'
}

const LARGEST = 8192
const LEAST = 16
const STICKS = 0.012 // of a side: so near to the picture's edge, a frame lies on it

/** How far the frame reaches out to the left and above the picture. */
export function offsets(frame: Frame, wide: number, high: number, kind: 'grow' | 'shape'): { left: number; top: number } {
  const across = kind === 'shape' || frame.across === 'centre' ? 0.5 : frame.across === 'left' ? 0 : 1
  const down = kind === 'shape' || frame.down === 'middle' ? 0.5 : frame.down === 'top' ? 0 : 1
  return { left: Math.round((frame.width - wide) * across), top: Math.round((frame.height - high) * down) }
}

const bounded = (value: number, least: number) => Math.round(Math.min(LARGEST, Math.max(least, value)))

/**
 * One side of a frame that grows is dragged. The picture lies at one end or in the middle of it, so dragging out of
 * the end where it lies brings it into the middle. edge: -1 the left or upper one, 1 the other.
 */
function side(length: number, own: number, at: -1 | 0 | 1, edge: number, place: number): { length: number; at: -1 | 0 | 1 } {
  let out = edge < 0 ? -place : place - own
  if (out < own * STICKS) out = 0
  const extra = length - own
  if (at === 0 && extra > 0) return { length: bounded(own + 2 * out, own), at }
  if (extra === 0 || at === -edge) return { length: bounded(own + out, own), at: out ? (-edge as -1 | 1) : at }
  return out ? { length: bounded(own + Math.max(extra, 2 * out), own), at: 0 } : { length, at }
}

export function grown(frame: Frame, wide: number, high: number, edge: readonly [number, number], place: Spot): Frame {
  const next = { ...frame }
  if (edge[0]) {
    const now = { left: -1, centre: 0, right: 1 }[frame.across] as -1 | 0 | 1
    const { length, at } = side(frame.width, wide, now, edge[0], place.x)
    next.width = length
    next.across = ({ '-1': 'left', 0: 'centre', 1: 'right' } as const)[String(at) as '0']
  }
  if (edge[1]) {
    const now = { top: -1, middle: 0, bottom: 1 }[frame.down] as -1 | 0 | 1
    const { length, at } = side(frame.height, high, now, edge[1], place.y)
    next.height = length
    next.down = ({ '-1': 'top', 0: 'middle', 1: 'bottom' } as const)[String(at) as '0']
  }
  return next
}

/** A shape is dragged, which lies in the middle of the picture. kept: its proportions stay. */
export function shaped(frame: Frame, wide: number, high: number, edge: readonly [number, number], place: Spot, kept: boolean): Frame {
  const next = { ...frame }
  if (edge[0]) next.width = bounded(2 * Math.abs(place.x - wide / 2), LEAST)
  if (edge[1]) next.height = bounded(2 * Math.abs(place.y - high / 2), LEAST)
  if (kept) {
    if (edge[0]) next.height = bounded((next.width / frame.width) * frame.height, LEAST)
    else next.width = bounded((next.height / frame.height) * frame.width, LEAST)
  }
  return next
}

/** The smallest frame of a shape that holds the whole picture. */
export function holding(wide: number, high: number, shape: number): Frame {
  const width = bounded(Math.max(wide, high * shape), wide)
  const height = bounded(Math.max(high, wide / shape), high)
  return { width, height, across: 'centre', down: 'middle' }
}

/** A shape with about as many pixels as the picture has. */
export function alike(wide: number, high: number, shape: number): Frame {
  const area = wide * high
  return { width: bounded(Math.sqrt(area * shape), LEAST), height: bounded(Math.sqrt(area / shape), LEAST), across: 'centre', down: 'middle' }
}
