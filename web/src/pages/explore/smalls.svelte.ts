/** Small pictures of seeds, as they were seen last, or drawn all at once as a map of them. */

import { Live } from '$lib/live'
import { wish, type Point } from './point'

const SIDE = 64 // pixels
const MOST = 128 // that are remembered; above it all but three quarters of those that are needed no more are forgotten

export class Smalls {
  /** Counts up whenever some were made anew. */
  made = $state(0)
  #kept = new Map<number, HTMLCanvasElement>()
  #lives = new Set<Live>()

  /** needed: whether a seed is still shown somewhere. */
  constructor(
    readonly run: number,
    readonly needed: (seed: number) => boolean,
  ) {}

  get(seed: number): HTMLCanvasElement | undefined {
    return this.#kept.get(seed)
  }

  has(seed: number): boolean {
    return this.#kept.has(seed)
  }

  clear(): void {
    this.#kept.clear()
  }

  close(): void {
    this.#lives.forEach((live) => live.close())
  }

  /** Of what is shown now. */
  take(seed: number, shown: HTMLCanvasElement): void {
    this.#put(seed, shown, 0, 0, shown.width, shown.height)
    this.made++
  }

  /** Draw them, with the choices of a point. */
  draw(seeds: number[], point: Point): void {
    if (!seeds.length) return
    const done = () => {
      live.close()
      this.#lives.delete(live)
    }
    const live = new Live(`/api/live/explore/${this.run}`, {
      frame: async ({ header, bytes }) => {
        done()
        const atlas = await createImageBitmap(new Blob([bytes], { type: 'image/webp' })).catch(() => null)
        if (!atlas || !header.cell || !header.columns) return
        const [wide, high] = header.cell
        for (const [at, seed] of seeds.entries()) {
          this.#put(seed, atlas, (at % header.columns) * wide, Math.floor(at / header.columns) * high, wide, high)
        }
        atlas.close()
        this.made++
      },
      text: (message) => message.problem && done(),
    })
    this.#lives.add(live)
    const { knobs, label, text } = wish(point)
    live.send({ map: { seeds, around: null, change: 0 }, knobs, label, text })
  }

  #put(seed: number, from: CanvasImageSource, x: number, y: number, wide: number, high: number): void {
    const scale = Math.min(1, SIDE / Math.max(wide, high))
    const canvas = this.#kept.get(seed) ?? document.createElement('canvas')
    canvas.width = Math.max(1, Math.round(wide * scale))
    canvas.height = Math.max(1, Math.round(high * scale))
    const context = canvas.getContext('2d')!
    context.imageSmoothingQuality = 'high'
    context.drawImage(from, x, y, wide, high, 0, 0, canvas.width, canvas.height)
    this.#kept.set(seed, canvas)
    if (this.#kept.size <= MOST) return
    for (const old of this.#kept.keys()) {
      if (this.#kept.size <= MOST * 0.75) break
      if (!this.needed(old)) this.#kept.delete(old)
    }
  }
}
