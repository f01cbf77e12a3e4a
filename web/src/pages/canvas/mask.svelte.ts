/** A mask on a picture: painted in one tint whose opacity is what is affected. Every change can be undone. */

import type { History } from '$lib/history.svelte'
import { blob, canvasOf, joined, packed, unpacked, within, words, type Box } from './runs'
import type { Spot } from './view.svelte'

const TINT = '#f0306a'
const LARGEST = 4096 // pixels of a side that are painted on; larger pictures get a mask that is enlarged
const HALF = 128

interface Snapshot {
  width: number
  height: number
  factor: number
  runs: Uint32Array
}

function measures(wide: number, high: number): { width: number; height: number; factor: number } {
  const factor = Math.min(1, LARGEST / Math.max(wide, high))
  return { width: Math.max(1, Math.round(wide * factor)), height: Math.max(1, Math.round(high * factor)), factor }
}

export class Mask {
  readonly canvas: HTMLCanvasElement
  readonly #context: CanvasRenderingContext2D
  /** As it was before what is being done now. */
  readonly #before: HTMLCanvasElement
  readonly #shadow: CanvasRenderingContext2D
  #touched: Box | null = null
  #stamp: { key: string; canvas: HTMLCanvasElement } | null = null
  #last: (Spot & { pressure: number }) | null = null
  #rest = 0

  /** Pixels that are at least half covered. */
  covered = $state(0)
  /** Counts changes. */
  version = $state(0)
  width = $state(1)
  height = $state(1)
  /** Pixels of the mask for one of the picture. */
  factor = 1
  empty = $derived(this.covered === 0)
  share = $derived(this.covered / (this.width * this.height))

  constructor(
    readonly history: History,
    readonly changed: () => void,
  ) {
    ;[this.canvas, this.#context] = canvasOf(1, 1)
    ;[this.#before, this.#shadow] = canvasOf(1, 1)
  }

  /** Begin empty, for a picture of that size. */
  reset(wide: number, high: number): void {
    const { factor, width, height } = measures(wide, high)
    this.factor = factor
    this.#resize(width, height)
    this.covered = 0
    this.version++
  }

  /** Whether it is as large as it would be for a picture of that size. */
  fits(wide: number, high: number): boolean {
    const { width, height } = measures(wide, high)
    return this.width === width && this.height === height
  }

  #resize(width: number, height: number): void {
    this.width = this.canvas.width = this.#before.width = width
    this.height = this.canvas.height = this.#before.height = height
  }

  snapshot(): Snapshot {
    const pixels = words(this.#context.getImageData(0, 0, this.width, this.height))
    return { width: this.width, height: this.height, factor: this.factor, runs: packed(pixels) }
  }

  restore(kept: Snapshot): void {
    this.factor = kept.factor
    this.#resize(kept.width, kept.height)
    this.#put({ x: 0, y: 0, width: kept.width, height: kept.height }, kept.runs)
  }

  // What is done with a brush. Places are in the picture's pixels.

  begin(): void {
    this.#touched = null
    this.#last = null
    this.#rest = 0
  }

  /** Go on to a place. pressure: share of the size, 0 to 1; hardness: share of the radius that is not softened. */
  stroke(to: Spot & { pressure: number }, size: number, hardness: number, erase: boolean): void {
    const at = { x: to.x * this.factor, y: to.y * this.factor, pressure: to.pressure }
    const wide = Math.max(1, size * this.factor)
    const from = this.#last ?? at
    const context = this.#context
    context.globalCompositeOperation = erase ? 'destination-out' : 'source-over'
    if (hardness >= 0.98) {
      context.strokeStyle = context.fillStyle = TINT
      context.lineCap = 'round'
      context.lineWidth = wide * at.pressure
      context.beginPath()
      context.moveTo(from.x, from.y)
      context.lineTo(at.x + 0.01, at.y)
      context.stroke()
    } else {
      const stamp = this.#soft(wide, hardness)
      const length = Math.hypot(at.x - from.x, at.y - from.y)
      const step = Math.max(1, wide * 0.07)
      let gone = this.#last ? this.#rest : 0
      for (; gone <= length; gone += step) {
        const share = length ? gone / length : 0
        const pressure = from.pressure + (at.pressure - from.pressure) * share
        const side = wide * pressure
        context.drawImage(stamp, from.x + (at.x - from.x) * share - side / 2, from.y + (at.y - from.y) * share - side / 2, side, side)
      }
      this.#rest = gone - length
    }
    context.globalCompositeOperation = 'source-over'
    this.#touch({ x: Math.min(from.x, at.x) - wide / 2 - 2, y: Math.min(from.y, at.y) - wide / 2 - 2, width: Math.abs(at.x - from.x) + wide + 4, height: Math.abs(at.y - from.y) + wide + 4 })
    this.#last = at
  }

  #soft(wide: number, hardness: number): HTMLCanvasElement {
    const key = `${Math.round(wide)} ${hardness}`
    if (this.#stamp?.key === key) return this.#stamp.canvas
    const side = Math.max(2, Math.ceil(wide))
    const [canvas, context] = canvasOf(side, side)
    const gradient = context.createRadialGradient(side / 2, side / 2, (side / 2) * hardness, side / 2, side / 2, side / 2)
    gradient.addColorStop(0, `${TINT}60`)
    gradient.addColorStop(1, `${TINT}00`)
    context.fillStyle = gradient
    context.fillRect(0, 0, side, side)
    this.#stamp = { key, canvas }
    return canvas
  }

  /** Fill a shape of several corners. */
  fill(corners: Spot[], erase: boolean): void {
    if (corners.length < 3) return
    this.begin()
    const context = this.#context
    context.globalCompositeOperation = erase ? 'destination-out' : 'source-over'
    context.fillStyle = TINT
    context.beginPath()
    corners.forEach(({ x, y }) => context.lineTo(x * this.factor, y * this.factor))
    context.fill()
    context.globalCompositeOperation = 'source-over'
    const xs = corners.map((one) => one.x * this.factor)
    const ys = corners.map((one) => one.y * this.factor)
    const [x, y] = [Math.min(...xs) - 1, Math.min(...ys) - 1]
    this.#touch({ x, y, width: Math.max(...xs) + 1 - x, height: Math.max(...ys) + 1 - y })
    this.end()
  }

  clear(): void {
    this.begin()
    this.#context.clearRect(0, 0, this.width, this.height)
    this.#touch(this.#all)
    this.end()
  }

  invert(): void {
    this.begin()
    const context = this.#context
    context.globalCompositeOperation = 'source-out'
    context.fillStyle = TINT
    context.fillRect(0, 0, this.width, this.height)
    context.globalCompositeOperation = 'source-over'
    this.#touch(this.#all)
    this.end()
  }

  /** Take over a picture: what is bright in it (and opaque) is covered. remembered: as a step that can be undone. */
  async load(source: Blob, remembered = true): Promise<void> {
    const bitmap = await createImageBitmap(source)
    const [, context] = canvasOf(this.width, this.height)
    context.drawImage(bitmap, 0, 0, this.width, this.height)
    bitmap.close()
    const image = context.getImageData(0, 0, this.width, this.height)
    const { data } = image
    for (let at = 0; at < data.length; at += 4) {
      data[at + 3] = (Math.max(data[at], data[at + 1], data[at + 2]) * data[at + 3]) / 255
      data[at] = 0xf0
      data[at + 1] = 0x30
      data[at + 2] = 0x6a
    }
    this.begin()
    this.#context.putImageData(image, 0, 0)
    this.#touch(this.#all)
    this.end(remembered)
  }

  /** As a task takes it: of the picture's size, white where it is affected, black elsewhere. soft: with what lies between. */
  async picture(wide: number, high: number, soft = false): Promise<Blob> {
    const image = this.#context.getImageData(0, 0, this.width, this.height)
    const { data } = image
    for (let at = 0; at < data.length; at += 4) {
      const value = soft ? data[at + 3] : data[at + 3] >= HALF ? 255 : 0
      data[at] = data[at + 1] = data[at + 2] = value
      data[at + 3] = 255
    }
    const [small, context] = canvasOf(this.width, this.height)
    context.putImageData(image, 0, 0)
    if (wide === this.width && high === this.height) return blob(small)
    const [large, pen] = canvasOf(wide, high)
    pen.imageSmoothingEnabled = soft
    pen.drawImage(small, 0, 0, wide, high)
    return blob(large)
  }

  #touch(box: Box): void {
    this.#touched = joined(this.#touched, box)
  }
  get #all(): Box {
    return { x: 0, y: 0, width: this.width, height: this.height }
  }

  /** It is done: one step. */
  end(remembered = true): void {
    const box = this.#touched && within(this.#touched, this.width, this.height)
    this.#touched = this.#last = null
    if (!box) return
    const { x, y, width, height } = box
    const before = packed(words(this.#shadow.getImageData(x, y, width, height)))
    const after = packed(words(this.#context.getImageData(x, y, width, height)))
    this.#settle(box, before, after)
    if (remembered) this.history.push({ undo: () => this.#put(box, before, after), redo: () => this.#put(box, after, before) })
  }

  /** Forget what has begun. */
  cancel(): void {
    this.#context.clearRect(0, 0, this.width, this.height)
    this.#context.drawImage(this.#before, 0, 0)
    this.#touched = this.#last = null
  }

  #put(box: Box, runs: Uint32Array, from?: Uint32Array): void {
    const image = new ImageData(new Uint8ClampedArray(unpacked(runs, box.width * box.height).buffer), box.width, box.height)
    this.#context.putImageData(image, box.x, box.y)
    if (!from) this.covered = 0
    this.#settle(box, from ?? new Uint32Array(), runs)
  }

  #settle(box: Box, before: Uint32Array, after: Uint32Array): void {
    this.#shadow.clearRect(box.x, box.y, box.width, box.height)
    this.#shadow.drawImage(this.canvas, box.x, box.y, box.width, box.height, box.x, box.y, box.width, box.height)
    this.covered += covering(after) - covering(before)
    this.version++
    this.changed()
  }
}

/** How many pixels of runs are at least half opaque. */
function covering(runs: Uint32Array): number {
  let found = 0
  for (let at = 0; at < runs.length; at += 2) if (runs[at] >>> 24 >= HALF) found += runs[at + 1]
  return found
}
