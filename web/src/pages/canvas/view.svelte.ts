/** Where one looks at a picture: how large it is shown, and where. Screen = content × scale + (x, y), in CSS pixels. */

const MOST = 64 // times that a pixel is enlarged
const ROOM = 24 // CSS pixels that are left free around a picture that fits

export interface Spot {
  x: number
  y: number
}

export class View {
  scale = $state(1)
  x = $state(0)
  y = $state(0)
  /** Of the window one looks through, in CSS pixels. */
  width = $state(0)
  height = $state(0)
  /** Of what is looked at, in its own pixels. */
  wide = $state(1)
  high = $state(1)
  /** Whether it is shown whole, and follows when the window changes. */
  fitted = $state(true)
  /** Content around the picture that should be in sight, too, as a new frame is: left, top, right, bottom. */
  #around: [number, number, number, number] = [0, 0, 0, 0]

  least = $derived(Math.min(1, Math.min(this.width / this.wide, this.height / this.high)) / 8)

  resize(width: number, height: number): void {
    if (width === this.width && height === this.height) return
    const [dx, dy] = [(width - this.width) / 2, (height - this.height) / 2]
    this.width = width
    this.height = height
    if (this.fitted) this.fit()
    else {
      this.x += dx
      this.y += dy
    }
  }

  /** Look at content of another size. */
  content(wide: number, high: number): void {
    if (wide === this.wide && high === this.high) return
    this.wide = Math.max(1, wide)
    this.high = Math.max(1, high)
    this.fit()
  }

  around(left: number, top: number, right: number, bottom: number): void {
    const next: [number, number, number, number] = [left, top, right, bottom]
    if (next.every((one, at) => one === this.#around[at])) return
    this.#around = next
    if (this.fitted) this.fit()
  }

  fit(): void {
    this.fitted = true
    if (!this.width || !this.height) return
    const [left, top, right, bottom] = this.#around
    const [wide, high] = [this.wide + left + right, this.high + top + bottom]
    const room = Math.min(ROOM, this.width / 12, this.height / 12)
    this.scale = Math.min((this.width - 2 * room) / wide, (this.height - 2 * room) / high, MOST)
    this.x = (this.width - wide * this.scale) / 2 + left * this.scale
    this.y = (this.height - high * this.scale) / 2 + top * this.scale
  }

  /** One pixel of the picture for one of the screen. */
  one(): void {
    this.zoomTo(1 / devicePixelRatio)
  }

  zoom(factor: number, at?: Spot): void {
    this.zoomTo(this.scale * factor, at)
  }

  /** at: the place in the window that stays where it is; its middle if not given. */
  zoomTo(scale: number, at: Spot = { x: this.width / 2, y: this.height / 2 }): void {
    const next = Math.min(MOST, Math.max(this.least, scale))
    const factor = next / this.scale
    this.scale = next
    this.x = at.x - (at.x - this.x) * factor
    this.y = at.y - (at.y - this.y) * factor
    this.fitted = false
    this.#hold()
  }

  pan(dx: number, dy: number): void {
    this.x += dx
    this.y += dy
    this.fitted = false
    this.#hold()
  }

  /** Never lose the picture out of sight. */
  #hold(): void {
    const keep = 48
    this.x = Math.min(this.width - keep, Math.max(keep - this.wide * this.scale, this.x))
    this.y = Math.min(this.height - keep, Math.max(keep - this.high * this.scale, this.y))
  }

  toContent(at: Spot): Spot {
    return { x: (at.x - this.x) / this.scale, y: (at.y - this.y) / this.scale }
  }

  toScreen(at: Spot): Spot {
    return { x: at.x * this.scale + this.x, y: at.y * this.scale + this.y }
  }
}
