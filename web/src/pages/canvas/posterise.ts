/** A picture in a few flat colours: k-means in Oklab, begun at a given palette, and edges smoothed by majority. */

import { pixel } from './painting.svelte'

type Lab = [l: number, a: number, b: number]

const linear = Float32Array.from({ length: 256 }, (_, value) => {
  const share = value / 255
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
})

/** Björn Ottosson, "A perceptual color space for image processing", 2020. */
function lab(red: number, green: number, blue: number): Lab {
  const [r, g, b] = [linear[red], linear[green], linear[blue]]
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ]
}
const of = (value: number): Lab => lab(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff)
const apart = (p: Lab, q: Lab) => (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2

/** pixels: of width × height; colours: how many; palette: where the search begins. Transparent pixels stay so. */
export function posterised(pixels: Uint32Array, width: number, height: number, colours: number, palette: string[]): Uint32Array {
  const places = [...pixels.keys()].filter((at) => pixels[at] >>> 24 >= 128)
  const every = Math.max(1, Math.floor(places.length / 6000))
  const sample = places.filter((_, at) => at % every === 0).map((at) => ({ lab: of(pixels[at]), value: pixels[at] }))
  if (!sample.length) return new Uint32Array(pixels.length)

  // Begin at the palette, then where the picture is farthest from what there is.
  const centres: Lab[] = palette.slice(0, colours).map((one) => of(pixel(one)))
  while (centres.length < colours) {
    const far = sample.reduce((best, one) => {
      const gap = Math.min(...centres.map((centre) => apart(one.lab, centre)), 9)
      return gap > best.gap ? { gap, lab: one.lab } : best
    }, { gap: -1, lab: sample[0].lab })
    centres.push(far.lab)
  }
  const nearest = (one: Lab) => {
    let best = 0
    for (let at = 1; at < centres.length; at++) if (apart(one, centres[at]) < apart(one, centres[best])) best = at
    return best
  }
  let means: number[] = []
  for (let turn = 0; turn < 8; turn++) {
    const sums = centres.map(() => [0, 0, 0, 0, 0, 0, 0])
    for (const { lab: [l, a, b], value } of sample) {
      const sum = sums[nearest([l, a, b])]
      ;[l, a, b, value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, 1].forEach((part, at) => (sum[at] += part))
    }
    sums.forEach((sum, at) => sum[6] && (centres[at] = [sum[0] / sum[6], sum[1] / sum[6], sum[2] / sum[6]]))
    means = sums.map((sum) => (sum[6] ? (0xff000000 | (Math.round(sum[5] / sum[6]) << 16) | (Math.round(sum[4] / sum[6]) << 8) | Math.round(sum[3] / sum[6])) >>> 0 : 0xff000000))
  }

  const clear = centres.length
  let marks = Uint8Array.from(pixels, (value) => (value >>> 24 >= 128 ? nearest(of(value)) : clear))
  for (let turn = 0; turn < 2; turn++) marks = majority(marks, width, height, centres.length + 1)
  return Uint32Array.from(marks, (mark) => (mark === clear ? 0 : means[mark]))
}

/** Each place as most of the 5 × 5 around it are. */
function majority(marks: Uint8Array<ArrayBuffer>, width: number, height: number, kinds: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(marks.length)
  const count = new Uint8Array(kinds)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      count.fill(0)
      let best = marks[y * width + x]
      for (let row = Math.max(0, y - 2); row <= Math.min(height - 1, y + 2); row++) {
        for (let column = Math.max(0, x - 2); column <= Math.min(width - 1, x + 2); column++) {
          const mark = marks[row * width + column]
          if (++count[mark] > count[best]) best = mark
        }
      }
      out[y * width + x] = best
    }
  }
  return out
}
