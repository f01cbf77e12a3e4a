/** Where the layers of a scene lie, as src/gesso/scene/placing.py has it: lengths, shares and anchors become pixels. */

export interface SceneLayer {
  kind: 'picture' | 'generated' | 'colour' | 'text' | 'sheet'
  id: string
  hidden?: boolean
  x?: string
  y?: string
  anchor?: string
  width?: string | null
  height?: string | null
  opacity?: number
  rotation?: number
  blend?: 'normal' | 'multiply' | 'screen' | 'seamless'
  shadow?: Record<string, unknown>
  picture?: string
  fit?: 'contain' | 'cover' | 'stretch' | 'retarget'
  crop?: '' | 'circle'
  radius?: string
  flip?: string
  cutout?: boolean
  colour?: string
  gradient?: string[]
  angle?: number
  text?: string
  font?: string | null
  size?: string
  align?: 'left' | 'centre' | 'right'
  spacing?: number
  tracking?: number
  balance?: boolean
  smallest?: string
  outline?: string
  outline_colour?: string
  [other: string]: unknown
}

interface SceneFormat {
  size?: string
  layers?: Record<string, Record<string, unknown>>
  [other: string]: unknown
}

export interface Scene {
  size: string
  ground?: string
  layers: SceneLayer[]
  formats: Record<string, SceneFormat>
  [other: string]: unknown
}

export const PRESETS: Record<string, string> = {
  square: '1080x1080', portrait: '1080x1350', story: '1080x1920', landscape: '1920x1080', link: '1200x630', banner: '1500x500',
  thumbnail: '1280x720', icon: '512x512', leaderboard: '728x90', skyscraper: '160x600', rectangle: '300x250',
  a3: '297mm x 420mm', a4: '210mm x 297mm', a5: '148mm x 210mm', postcard: '148mm x 105mm',
}
const INCH: Record<string, number> = { mm: 1 / 25.4, cm: 1 / 2.54, in: 1, pt: 1 / 72 }
const DPI = 300

interface Measured {
  pixels: number
  inches: number
  share: number
}

/** A length in words; nothing where it is none. */
export function measured(text: string): Measured {
  const sum: Measured = { pixels: 0, inches: 0, share: 0 }
  for (const [, sign, number, unit = 'px'] of String(text).matchAll(/([+-]?)\s*(\d+(?:\.\d*)?|\.\d+)\s*(px|%|mm|cm|in|pt)?/g)) {
    const value = (sign === '-' ? -1 : 1) * Number(number)
    if (unit === '%') sum.share += value / 100
    else if (unit === 'px') sum.pixels += value
    else sum.inches += value * INCH[unit]
  }
  return sum
}

/** Width and height of a size in words, in pixels (paper at 300 dots an inch); null where it is none. */
export function sizeOf(text: string): [number, number] | null {
  const found = /^\s*([\d.]+)\s*(mm|cm|in|pt|px)?\s*[x×*]\s*([\d.]+)\s*(mm|cm|in|pt|px)?\s*$/i.exec(PRESETS[text.trim().toLowerCase()] ?? text)
  if (!found) return null
  const unit = (found[4] ?? found[2] ?? 'px').toLowerCase()
  const dots = unit === 'px' ? 1 : INCH[unit] * DPI
  const [wide, high] = [Math.round(Number(found[1]) * dots), Math.round(Number(found[3]) * dots)]
  return wide > 0 && high > 0 && Math.max(wide, high) <= 30_000 ? [wide, high] : null
}

export class Page {
  readonly scale: number
  readonly reach: [number, number]

  constructor(
    readonly width: number,
    readonly height: number,
    own: [number, number],
  ) {
    this.scale = Math.min(width, height) / Math.min(...own)
    this.reach = [Math.min(width, own[0] * this.scale), Math.min(height, own[1] * this.scale)]
  }

  static of(scene: Scene, name: string): Page {
    const [wide, high] = sizeOf(scene.formats[name]?.size ?? name) ?? [1080, 1080]
    return new Page(wide, high, sizeOf(scene.size) ?? [wide, high])
  }

  #sum({ pixels, inches, share }: Measured, of: number): number {
    return share * of + pixels * this.scale + inches * DPI
  }
  /** own: the format chose it itself, so that shares are of its own sides. */
  side(text: string, axis: 0 | 1, own: boolean): number {
    const said = measured(text)
    const whole = axis ? this.height : this.width
    return this.#sum(said, said.share >= 1 || own ? whole : this.reach[axis])
  }
  point(text: string, axis: 0 | 1): number {
    return this.#sum(measured(text), axis ? this.height : this.width)
  }
  short(text: string, side = Math.min(this.width, this.height)): number {
    return this.#sum(measured(text), side)
  }

  /** A number of pixels as a length, so that `side` gives it again. */
  sideText(pixels: number, axis: 0 | 1, own: boolean): string {
    const whole = axis ? this.height : this.width
    const share = pixels / (own ? whole : this.reach[axis])
    if (share < 1) return percent(share)
    return pixels >= whole - 0.01 ? percent(pixels / whole) : `${(pixels / this.scale).toFixed(1)}px`
  }
  /** Where a box with its middle at a place is anchored, as a layer says it. */
  anchored(centre: { x: number; y: number }, width: number, height: number, anchor?: string): { x: string; y: string } {
    const [across, down] = anchorOf(anchor)
    return { x: percent((centre.x + (across - 0.5) * width) / this.width), y: percent((centre.y + (down - 0.5) * height) / this.height) }
  }
}

const percent = (share: number) => `${Number((share * 100).toFixed(2))}%`

/** Which part of a box its anchor is, in shares. */
function anchorOf(anchor = 'centre'): [across: number, down: number] {
  return [anchor.includes('left') ? 0 : anchor.includes('right') ? 1 : 0.5, anchor.includes('top') ? 0 : anchor.includes('bottom') ? 1 : 0.5]
}

/** A layer's box on a page, before it is turned about its middle. */
export interface Placed {
  left: number
  top: number
  width: number
  height: number
  rotation: number
}

/** A layer as a format has it, and which of its choices are the format's own. */
export function inFormat(scene: Scene, format: string, layer: SceneLayer): { layer: SceneLayer; own: Record<string, unknown> } {
  const own = scene.formats[format]?.layers?.[layer.id] ?? {}
  return { layer: { ...layer, ...own } as SceneLayer, own }
}

/** natural: what the layer measures by itself, in pixels. */
export function placed(page: Page, layer: SceneLayer, own: Record<string, unknown>, natural: [number, number]): Placed {
  const whole = layer.kind === 'colour' ? '100%' : null
  const wide = layer.width === undefined ? whole : layer.width
  const high = layer.height === undefined ? whole : layer.height
  const width = wide === null ? null : page.side(wide, 0, 'width' in own)
  const height = high === null ? null : page.side(high, 1, 'height' in own)
  let box: [number, number]
  if (layer.kind === 'text') box = [width ?? natural[0], natural[1]]
  else if (width === null && height === null) box = [natural[0] * page.scale, natural[1] * page.scale]
  else if (width !== null && height !== null) {
    const whole = Math.min(width / natural[0], height / natural[1])
    box = layer.kind !== 'colour' && (layer.fit ?? 'contain') === 'contain' ? [natural[0] * whole, natural[1] * whole] : [width, height]
  } else if (width !== null) box = [width, (natural[1] * width) / natural[0]]
  else box = [(natural[0] * height!) / natural[1], height!]
  const [across, down] = anchorOf(layer.anchor)
  return {
    left: page.point(layer.x ?? '50%', 0) - across * box[0], top: page.point(layer.y ?? '50%', 1) - down * box[1],
    width: box[0], height: box[1], rotation: layer.rotation ?? 0,
  }
}
