/** Layers that are dragged on the page, in its pixels: hit, scaled, turned, and where they stick. */

import type { Placed } from './placing'
import type { Spot } from './view.svelte'

/** A place as seen from a box's middle, in the box's own directions. */
function seen(box: Placed, at: Spot): Spot {
  const turn = (-box.rotation * Math.PI) / 180
  const [dx, dy] = [at.x - box.left - box.width / 2, at.y - box.top - box.height / 2]
  return { x: Math.cos(turn) * dx - Math.sin(turn) * dy, y: Math.sin(turn) * dx + Math.cos(turn) * dy }
}

/** Whether a place is on a box, or at most so far beside it. */
export function hits(box: Placed, at: Spot, reach: number): boolean {
  const { x, y } = seen(box, at)
  return Math.abs(x) <= box.width / 2 + reach && Math.abs(y) <= box.height / 2 + reach
}

/** Degrees by which a box is turned when the knob above it is dragged to a place. stepped: in steps of 15. */
export function turned(box: Placed, at: Spot, stepped: boolean): number {
  const middle = { x: box.left + box.width / 2, y: box.top + box.height / 2 }
  const raw = (Math.atan2(at.y - middle.y, at.x - middle.x) * 180) / Math.PI + 90
  const step = stepped ? 15 : 1
  const degrees = Math.round((((raw + 540) % 360) - 180) / step) * step
  const straight = Math.round(degrees / 90) * 90
  const found = !stepped && Math.abs(degrees - straight) < 3 ? straight : degrees
  return found === -180 ? 180 : found
}

/** A box whose corner or side is dragged to a place, while the opposite one stays. whole: its proportions stay, too. */
export function scaled(box: Placed, [across, down]: readonly [number, number], at: Spot, whole: boolean): { width: number; height: number; centre: Spot } {
  const to = seen(box, at)
  let width = across ? Math.max(4, to.x * across + box.width / 2) : box.width
  let height = down ? Math.max(4, to.y * down + box.height / 2) : box.height
  if (whole) {
    const scale = Math.max(width / box.width, height / box.height)
    width = box.width * scale
    height = box.height * scale
  }
  const turn = (box.rotation * Math.PI) / 180
  const [x, y] = [(across * (width - box.width)) / 2, (down * (height - box.height)) / 2]
  const centre = { x: box.left + box.width / 2 + Math.cos(turn) * x - Math.sin(turn) * y, y: box.top + box.height / 2 + Math.sin(turn) * x + Math.cos(turn) * y }
  return { width, height, centre }
}

/** Moved along one axis: the middle and the edges of a box stick to those of the page. lines: where it sticks now. */
export function stuck(moved: number, start: number, length: number, page: number, near: number): { moved: number; lines: number[] } {
  for (const [own, target] of [[length / 2, page / 2], [0, 0], [length, page]]) {
    const gap = target - (start + moved + own)
    if (Math.abs(gap) < near) return { moved: moved + gap, lines: [target] }
  }
  return { moved, lines: [] }
}
