/** A painting in flat colours: hard edges, no mixed pixels. Every change can be undone. */

import type { History } from '$lib/history.svelte'
import { canvasOf, joined, packed, unpacked, within, type Box } from './runs'
import type { Spot } from './view.svelte'

export type Symmetry = 'none' | 'across' | 'down' | 'both'
export type Form = 'line' | 'rectangle' | 'ellipse'

/** '#rrggbb' or 'transparent' as a pixel: alpha, blue, green, red from the highest byte. */
export function pixel(colour: string): number {
  if (colour === 'transparent') return 0
  const value = Number.parseInt(colour.slice(1), 16)
  return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >>> 16)) >>> 0
}

export function colourOf(value: number): string {
  if (value >>> 24 === 0) return 'transparent'
  const hex = (one: number) => (one & 0xff).toString(16).padStart(2, '0')
  return `#${hex(value)}${hex(value >>> 8)}${hex(value >>> 16)}`
}

export class Painting {
  readonly canvas: HTMLCanvasElement
  readonly #context: CanvasRenderingContext2D
  #image = new ImageData(1, 1)
  pixels = new Uint32Array(1)
  #before = new Uint32Array(1)
  #touched: Box | null = null
  width = $state(1)
  height = $state(1)
  symmetry = $state<Symmetry>('none')

  constructor(
    readonly history: History,
    /** Called at every change; ended: it is a whole step. */
    readonly changed: (ended: boolean) => void,
  ) {
    ;[this.canvas, this.#context] = canvasOf(1, 1)
  }

  /** Begin anew at a size. */
  reset(width: number, height: number, ground: number): void {
    this.width = this.canvas.width = width
    this.height = this.canvas.height = height
    this.#image = new ImageData(width, height)
    this.pixels = new Uint32Array(this.#image.data.buffer)
    this.pixels.fill(ground)
    this.#before = this.pixels.slice()
    this.#context.putImageData(this.#image, 0, 0)
  }

  at({ x, y }: Spot): number | null {
    const [column, row] = [Math.floor(x), Math.floor(y)]
    return column >= 0 && row >= 0 && column < this.width && row < this.height ? this.pixels[row * this.width + column] : null
  }

  #mirrored(a: Spot, b: Spot): [Spot, Spot][] {
    const across = ({ x, y }: Spot) => ({ x: this.width - x, y })
    const down = ({ x, y }: Spot) => ({ x, y: this.height - y })
    const out: [Spot, Spot][] = [[a, b]]
    if (this.symmetry === 'across' || this.symmetry === 'both') out.push([across(a), across(b)])
    if (this.symmetry === 'down' || this.symmetry === 'both') out.push(...out.map(([p, q]): [Spot, Spot] => [down(p), down(q)]))
    return out
  }

  /** A stroke goes on from one place to another. */
  stroke(from: Spot, to: Spot, size: number, colour: number): void {
    for (const [a, b] of this.#mirrored(from, to)) this.#line(a, b, size / 2, colour)
    this.#show()
  }

  /** A shape in place of what was drawn since the step began. */
  form(kind: Form, from: Spot, to: Spot, size: number, colour: number, filled: boolean): void {
    this.cancel(false)
    for (const [a, b] of this.#mirrored(from, to)) {
      if (kind === 'line') this.#line(a, b, size / 2, colour)
      else this.#shape(kind, a, b, filled ? Infinity : size, colour)
    }
    this.#show()
  }

  #line(a: Spot, b: Spot, radius: number, colour: number): void {
    const reach = Math.max(0.5, radius)
    const box = within({ x: Math.min(a.x, b.x) - reach, y: Math.min(a.y, b.y) - reach, width: Math.abs(a.x - b.x) + 2 * reach, height: Math.abs(a.y - b.y) + 2 * reach }, this.width, this.height)
    if (!box) return
    const [dx, dy] = [b.x - a.x, b.y - a.y]
    const length = dx * dx + dy * dy
    const limit = Math.max(0.5, reach * reach)
    for (let y = box.y; y < box.y + box.height; y++) {
      for (let x = box.x; x < box.x + box.width; x++) {
        const [px, py] = [x + 0.5 - a.x, y + 0.5 - a.y]
        const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0
        const [ox, oy] = [px - along * dx, py - along * dy]
        if (ox * ox + oy * oy <= limit) this.pixels[y * this.width + x] = colour
      }
    }
    this.#touched = joined(this.#touched, box)
  }

  #shape(kind: 'rectangle' | 'ellipse', a: Spot, b: Spot, border: number, colour: number): void {
    const area = { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) }
    const box = within(area, this.width, this.height)
    if (!box) return
    const [cx, cy] = [area.x + area.width / 2, area.y + area.height / 2]
    const [rx, ry] = [Math.max(0.5, area.width / 2), Math.max(0.5, area.height / 2)]
    const inside = (dx: number, dy: number, wide: number, high: number) =>
      wide > 0 && high > 0 && (kind === 'rectangle' ? Math.abs(dx) <= wide && Math.abs(dy) <= high : (dx / wide) ** 2 + (dy / high) ** 2 <= 1)
    for (let y = box.y; y < box.y + box.height; y++) {
      for (let x = box.x; x < box.x + box.width; x++) {
        const [dx, dy] = [x + 0.5 - cx, y + 0.5 - cy]
        if (inside(dx, dy, rx, ry) && !inside(dx, dy, rx - border, ry - border)) this.pixels[y * this.width + x] = colour
      }
    }
    this.#touched = joined(this.#touched, box)
  }

  /** Fill what has one colour and hangs together, as one step. */
  bucket(at: Spot, colour: number): void {
    for (const [spot] of this.#mirrored(at, at)) {
      const old = this.at(spot)
      if (old === null || old === colour) continue
      const { width, height, pixels } = this
      const open = [Math.floor(spot.y) * width + Math.floor(spot.x)]
      while (open.length) {
        const place = open.pop()!
        if (pixels[place] !== old) continue
        const row = Math.floor(place / width) * width
        let left = place
        let right = place
        while (left > row && pixels[left - 1] === old) left--
        while (right < row + width - 1 && pixels[right + 1] === old) right++
        pixels.fill(colour, left, right + 1)
        for (const next of [-width, width]) {
          if ((next < 0 && row === 0) || (next > 0 && row === (height - 1) * width)) continue
          for (let x = left; x <= right; x++) if (pixels[x + next] === old && (x === left || pixels[x + next - 1] !== old)) open.push(x + next)
        }
      }
    }
    this.#touched = { x: 0, y: 0, width: this.width, height: this.height }
    this.end()
  }

  /** Take over a whole picture of the same size, as one step. */
  replace(pixels: Uint32Array, remembered = true): void {
    this.pixels.set(pixels)
    this.#touched = { x: 0, y: 0, width: this.width, height: this.height }
    if (remembered) this.end()
    else {
      this.#before.set(this.pixels)
      this.#touched = null
      this.#show(true)
    }
  }

  end(): void {
    const box = this.#touched && within(this.#touched, this.width, this.height)
    this.#touched = null
    if (!box) return
    const before = packed(this.#cut(this.#before, box))
    const after = packed(this.#cut(this.pixels, box))
    this.#before.set(this.pixels)
    this.#show(true)
    if (before.length === after.length && before.every((one, at) => one === after[at])) return
    this.history.push({ undo: () => this.#paste(box, before), redo: () => this.#paste(box, after) })
  }

  /** Forget what has begun. */
  cancel(shown = true): void {
    this.pixels.set(this.#before)
    this.#touched = null
    if (shown) this.#show()
  }

  #cut(pixels: Uint32Array, box: Box): Uint32Array {
    const out = new Uint32Array(box.width * box.height)
    for (let y = 0; y < box.height; y++) {
      const from = (box.y + y) * this.width + box.x
      out.set(pixels.subarray(from, from + box.width), y * box.width)
    }
    return out
  }
  #paste(box: Box, runs: Uint32Array): void {
    const cut = unpacked(runs, box.width * box.height)
    for (let y = 0; y < box.height; y++) this.pixels.set(cut.subarray(y * box.width, (y + 1) * box.width), (box.y + y) * this.width + box.x)
    this.#before.set(this.pixels)
    this.#show(true)
  }
  #show(ended = false): void {
    this.#context.putImageData(this.#image, 0, 0)
    this.changed(ended)
  }
}
