/** Live drawing: a WebSocket that comes back by itself, sends the latest wish only, and paints what arrives at once. */

import type { FrameHeader } from './types'

export interface Frame {
  header: FrameHeader
  bytes: Uint8ClampedArray<ArrayBuffer>
}

export interface Handlers {
  /** A picture has come; those of wishes older than the last one painted are left out before. */
  frame: (frame: Frame) => void
  /** Any text message: `ready`, or {id, problem, remedy}. */
  text?: (message: Record<string, unknown>) => void
  /** Whether there is a connection now. */
  state?: (open: boolean) => void
}

const FIRST = 300 // milliseconds until the first try to come back; doubled each time
const LONGEST = 5000

/**
 * live = new Live('/api/live/explore/7', {frame: (f) => paint(canvas, f)}); live.send({seed: 3}); live.close()
 * Send as often as you like: while there is no connection, or while the last one has not left, only the latest is kept.
 */
export class Live {
  #socket: WebSocket | null = null
  #held: { text: string; body?: Blob | ArrayBuffer } | null = null
  #last: { text: string; body?: Blob | ArrayBuffer } | null = null
  #id = 0
  #seen = 0
  #wait = FIRST
  #timer = 0
  #soon = 0
  #closed = false

  constructor(
    readonly path: string,
    readonly handlers: Handlers,
  ) {
    this.#open()
  }

  get open(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  /** Ask for a picture; body: bytes that belong to it. Returns the id which its answers carry. */
  send(message: object, body?: Blob | ArrayBuffer): number {
    const id = ++this.#id
    this.#held = this.#last = { text: JSON.stringify({ id, ...message }), body }
    this.#flush()
    return id
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#soon)
    this.#socket?.close()
    this.#socket = null
  }

  #flush(): void {
    const socket = this.#socket
    if (!this.#held || !socket || socket.readyState !== WebSocket.OPEN) return
    if (socket.bufferedAmount > 0) {
      this.#soon ||= window.setTimeout(() => ((this.#soon = 0), this.#flush()), 2)
      return
    }
    const { text, body } = this.#held
    this.#held = null
    socket.send(text)
    if (body) socket.send(body)
  }

  #open(): void {
    if (this.#closed) return
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
    const socket = (this.#socket = new WebSocket(`${scheme}://${location.host}${this.path}`))
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      this.#wait = FIRST
      this.#held ??= this.#last // the studio that was asked may be gone: ask again
      this.handlers.state?.(true)
      this.#flush()
    }
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (typeof event.data === 'string') {
        this.handlers.text?.(JSON.parse(event.data))
        return
      }
      const frame = parse(event.data)
      if (frame.header.id < this.#seen) return
      this.#seen = frame.header.id
      this.handlers.frame(frame)
    }
    socket.onclose = () => {
      if (this.#closed || this.#socket !== socket) return
      this.handlers.state?.(false)
      this.#timer = window.setTimeout(() => this.#open(), this.#wait)
      this.#wait = Math.min(this.#wait * 2, LONGEST)
    }
  }
}

/** A binary message: the length of its JSON, the JSON, the picture. */
export function parse(data: ArrayBuffer): Frame {
  const length = new DataView(data).getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length))) as FrameHeader
  return { header, bytes: new Uint8ClampedArray(data, 4 + length) }
}

const turns = new WeakMap<HTMLCanvasElement, number>()

/** Put a frame onto a canvas, which takes its size. Raw pixels at once; a WebP as soon as it is decoded. */
export function paint(canvas: HTMLCanvasElement, { header, bytes }: Frame): void | Promise<void> {
  const turn = (turns.get(canvas) ?? 0) + 1
  turns.set(canvas, turn)
  if (header.kind === 'rgba') {
    const context = fitted(canvas, header.width, header.height)
    context.putImageData(new ImageData(bytes, header.width, header.height), 0, 0)
    return
  }
  return createImageBitmap(new Blob([bytes], { type: 'image/webp' })).then((bitmap) => {
    if (turns.get(canvas) === turn) {
      const context = fitted(canvas, bitmap.width, bitmap.height)
      context.clearRect(0, 0, bitmap.width, bitmap.height)
      context.drawImage(bitmap, 0, 0)
    }
    bitmap.close()
  })
}

function fitted(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width
    canvas.height = height
  }
  return canvas.getContext('2d')!
}
