/** Frames around pictures, in the picture's pixels. */

import type { Spot } from './view.svelte'

export interface Frame {
  width: number
  height: number
  across: 'left' | 'centre' | 'right'
  down: 'top' | 'middle' | 'bottom'
  left?: number // where the picture lies in it, where it was dragged there
  top?: number
}

const LARGEST = 8192
const LEAST = 16
const STICKS = 0.012 // of a side: so near to the picture's edge, a frame lies on it

/** How far the frame reaches out to the left and above the picture. */
export function offsets(frame: Frame, wide: number, high: number, kind: 'grow' | 'shape'): { left: number; top: number } {
  if (kind === 'grow' && frame.left !== undefined && frame.top !== undefined) return { left: frame.left, top: frame.top }
  const across = kind === 'shape' || frame.across === 'centre' ? 0.5 : frame.across === 'left' ? 0 : 1
  const down = kind === 'shape' || frame.down === 'middle' ? 0.5 : frame.down === 'top' ? 0 : 1
  return { left: Math.round((frame.width - wide) * across), top: Math.round((frame.height - high) * down) }
}

const bounded = (value: number, least: number) => Math.round(Math.min(LARGEST, Math.max(least, value)))

/** How far out of the picture an edge is dragged; near the picture's own edge it lies on it. */
function out(edge: number, own: number, place: number): number {
  const far = edge < 0 ? -place : place - own
  return far < own * STICKS ? 0 : Math.round(Math.min(far, LARGEST - own))
}

/** A frame around the picture is dragged by an edge or a corner; the other edges stay. edge: -1 the left or upper one. */
export function grown(frame: Frame, wide: number, high: number, edge: readonly [number, number], place: Spot): Frame {
  let { left, top } = offsets(frame, wide, high, 'grow')
  let [right, low] = [frame.width - wide - left, frame.height - high - top]
  if (edge[0] < 0) left = out(-1, wide, place.x)
  if (edge[0] > 0) right = out(1, wide, place.x)
  if (edge[1] < 0) top = out(-1, high, place.y)
  if (edge[1] > 0) low = out(1, high, place.y)
  return { ...frame, left, top, width: bounded(wide + left + right, wide), height: bounded(high + top + low, high) }
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
