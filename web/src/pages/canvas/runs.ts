/** Pixels as runs of equal ones: masks and flat colours become small, so that many steps back can be kept. */

export interface Box {
  x: number
  y: number
  width: number
  height: number
}

/** Pairs of a pixel and how often it comes. */
export function packed(pixels: Uint32Array): Uint32Array {
  const out: number[] = []
  for (let at = 0; at < pixels.length; ) {
    const value = pixels[at]
    let end = at + 1
    while (end < pixels.length && pixels[end] === value) end++
    out.push(value, end - at)
    at = end
  }
  return Uint32Array.from(out)
}

export function unpacked(runs: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const out = new Uint32Array(length)
  for (let at = 0, place = 0; at < runs.length; at += 2) {
    out.fill(runs[at], place, place + runs[at + 1])
    place += runs[at + 1]
  }
  return out
}

export function words(image: ImageData): Uint32Array {
  return new Uint32Array(image.data.buffer, image.data.byteOffset, image.data.length >> 2)
}

/** The part of a box that lies within a picture, in whole pixels; null if none does. */
export function within(box: Box, width: number, height: number): Box | null {
  const x = Math.max(0, Math.floor(box.x))
  const y = Math.max(0, Math.floor(box.y))
  const right = Math.min(width, Math.ceil(box.x + box.width))
  const bottom = Math.min(height, Math.ceil(box.y + box.height))
  return right > x && bottom > y ? { x, y, width: right - x, height: bottom - y } : null
}

export function joined(a: Box | null, b: Box): Box {
  if (!a) return b
  const x = Math.min(a.x, b.x)
  const y = Math.min(a.y, b.y)
  return { x, y, width: Math.max(a.x + a.width, b.x + b.width) - x, height: Math.max(a.y + a.height, b.y + b.height) - y }
}

export function blob(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) =>
    canvas.toBlob((found) => (found ? resolve(found) : reject(new Error('The picture could not be written.'))), 'image/png'),
  )
}

export function canvasOf(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  return [canvas, canvas.getContext('2d', { willReadFrequently: true })!]
}
