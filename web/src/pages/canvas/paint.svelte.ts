/** Painting with a data set: what is painted, with what, and the finished picture that comes back while one paints. */

import { api, ApiError, ref } from '$lib/api'
import { onEvent } from '$lib/events'
import { History } from '$lib/history.svelte'
import { t } from '$lib/i18n.svelte'
import { jobs } from '$lib/jobs.svelte'
import { Live, paint as show, type Frame } from '$lib/live'
import type { Dataset, Job } from '$lib/types'
import { kept, quietly, recall, remember } from './keep'
import { Painting, pixel } from './painting.svelte'
import { blob, canvasOf, words } from './runs'
import { View } from './view.svelte'

const SIDE = 320 // pixels of a painting's shorter side
const OFTEN = 250 // milliseconds between two looks while a stroke is drawn
const PICTURES = 12 // as the live drawing has it; the kept picture must be the same

/** What the pointer does on the painting, and its key. */
export const PENS = [
  ['hand', 'v'], ['brush', 'b'], ['eraser', 'e'], ['bucket', 'f'], ['line', 'l'], ['rectangle', 'r'], ['ellipse', 'o'], ['dropper', 'i'],
] as const
type Pen = (typeof PENS)[number][0]

interface Settings {
  size: number
  faithful: number
  seed: number
  ground: string
  added: string[]
}

class Paint {
  readonly history = new History()
  readonly view = new View()
  readonly painting = new Painting(this.history, (ended) => this.#painted(ended))

  datasets = $state.raw<Dataset[] | null>(null)
  problem = $state.raw<unknown>(null)
  dataset = $state.raw<Dataset | null>(null)

  pen = $state<Pen>('brush')
  width = $state(28)
  filled = $state(true)
  colour = $state('#808080')
  ground = $state('#ffffff')
  /** Colours that were chosen freely, or taken up. */
  added = $state.raw<string[]>([])

  size = $state(256)
  faithful = $state(0.5)
  seed = $state(0)

  /** How far the finished picture is, 0 to 1; null: nothing is asked. */
  done = $state<number | null>(null)
  /** How far the index of the data set is, where it is first made. */
  making = $state<number | null>(null)
  failed = $state.raw<{ problem: string; remedy: string } | null>(null)
  connected = $state(false)
  seen = $state(false)
  /** Finished pictures that are being kept, or were, as jobs. */
  keeping = $state.raw<string[]>(recall<string[]>('keeping', []))
  sending = $state(false)

  #canvas: HTMLCanvasElement | null = null
  #frame: Frame | null = null
  #live: Live | null = null
  #asked = 0
  #timer = 0
  #turn = 0
  /** The page is open. */
  #shown = false
  #save = quietly(async () => {
    const { dataset, size, faithful, seed, ground, added } = this
    if (!dataset) return
    remember(`paint.${dataset.name}`, { size, faithful, seed, ground, added } satisfies Settings, 'local')
    await kept.put(`paint.${dataset.name}`, await blob(this.painting.canvas))
  })

  async load(): Promise<void> {
    try {
      this.datasets = await api.datasets.list()
      this.problem = null
    } catch (error) {
      this.problem = error
    }
  }

  /** Paint with a data set; what was painted with it last is taken up. null: the one of last time, else the first. */
  async choose(name: string | null): Promise<void> {
    const all = this.datasets ?? []
    const wanted = name ?? this.dataset?.name ?? recall('dataset', '')
    const found = all.find((one) => one.name === wanted) ?? (name ? undefined : all[0])
    if (found && found.name === this.dataset?.name) {
      this.dataset = found
      this.#shown = true
      return this.#connect()
    }
    this.#save.now()
    this.close()
    this.seen = false
    this.#frame = this.failed = null
    if (this.#canvas) this.#canvas.width = 1 // what was finished with another set goes
    this.dataset = found ?? null
    if (!found) {
      if (name) this.failed = { problem: t('canvas.setGone', { name }), remedy: t('canvas.setGoneHelp') }
      return
    }
    this.#shown = true
    remember('dataset', found.name)
    this.history.clear()
    const shorter = Math.min(found.width, found.height)
    const usual: Settings = { size: shorter, faithful: 0.5, seed: 0, ground: found.channels === 4 ? 'transparent' : (found.palette[0] ?? '#ffffff'), added: [] }
    const { size, faithful, seed, ground, added } = recall<Settings>(`paint.${found.name}`, usual, 'local')
    Object.assign(this, { size, faithful, seed, ground, added })
    this.colour = found.palette[1] ?? found.palette[0] ?? '#808080'
    const [wide, high] = [found.width, found.height].map((side) => Math.round((side / shorter) * SIDE))
    this.painting.reset(wide, high, pixel(this.ground))
    this.view.content(wide, high)
    this.view.fit()
    const before = await this.#before(found.name)
    if (this.dataset?.name !== found.name) return
    if (before) this.painting.replace(before, false)
    if (this.#shown) this.#connect()
  }

  /** What was painted with a data set before, made as large as the painting is now. */
  async #before(name: string): Promise<Uint32Array | null> {
    const { width, height } = this.painting
    const found = await kept.get(`paint.${name}`)
    const bitmap = found && (await createImageBitmap(found).catch(() => null))
    if (!bitmap) return null
    const [, context] = canvasOf(width, height)
    context.imageSmoothingEnabled = false
    context.drawImage(bitmap, 0, 0, width, height)
    bitmap.close()
    return words(context.getImageData(0, 0, width, height))
  }

  #connect(): void {
    const { dataset } = this
    if (!dataset || this.#live) return
    this.failed = null
    const live = new Live(`/api/live/paint/${encodeURIComponent(dataset.name)}`, {
      frame: (frame) => {
        if (live !== this.#live) return // of a connection that was closed meanwhile
        this.#frame = frame
        this.making = this.failed = null
        this.done = frame.header.done ?? 1
        this.seen = true
        if (this.#canvas) show(this.#canvas, frame)
      },
      text: (message) => {
        if (live !== this.#live) return
        if (typeof message.problem === 'string') {
          this.failed = { problem: message.problem, remedy: String(message.remedy ?? '') }
          this.done = this.making = null
        } else if (typeof message.making === 'number') this.making = message.making
      },
      state: (open) => {
        this.connected = open
        if (!open) this.done = null
      },
    })
    this.#live = live
    this.ask(true)
  }
  /** Stop asking, as when the page is left: what is painted stays. */
  close(): void {
    this.#shown = false
    this.#live?.close()
    this.#live = null
    clearTimeout(this.#timer)
    this.done = this.making = null
    this.connected = false
  }
  attach(canvas: HTMLCanvasElement): () => void {
    this.#canvas = canvas
    if (this.#frame && this.seen) show(canvas, this.#frame)
    return () => (this.#canvas = null)
  }

  #painted(ended: boolean): void {
    this.ask(ended)
    if (ended) this.#save()
  }
  /** Ask for the finished picture: now, or when it is time again. */
  ask(now = false): void {
    if (!this.#live) return
    const wait = now ? 0 : Math.max(0, OFTEN - (Date.now() - this.#asked))
    clearTimeout(this.#timer)
    if (wait) this.#timer = window.setTimeout(() => this.#send(), wait)
    else this.#send()
  }
  async #send(): Promise<void> {
    this.#asked = Date.now()
    const turn = ++this.#turn
    const body = await blob(this.painting.canvas).catch(() => null)
    if (!body || turn !== this.#turn) return
    if (this.done === null || this.done === 1) this.done = 0
    this.#live?.send({ size: this.size, faithful: this.faithful, seed: this.seed }, body)
  }
  /** A setting has changed. */
  adjusted(): void {
    this.ask()
    this.#save()
  }

  dice(): void {
    this.seed = Math.floor(Math.random() * 100_000)
    this.adjusted()
  }
  mirror(): void {
    this.painting.symmetry = this.painting.symmetry === 'none' ? 'across' : 'none'
  }

  /** The eraser paints with it. */
  setGround(colour: string): void {
    this.ground = colour
    this.#save()
  }
  /** Paint with a colour. */
  take(colour: string): void {
    this.colour = colour
    if (colour === 'transparent' || this.dataset?.palette.includes(colour) || this.added.includes(colour)) return
    this.added = [colour, ...this.added].slice(0, 16)
    this.#save()
  }

  /** The finished picture, made again with the very same settings, into the gallery. */
  async keep(): Promise<void> {
    const { dataset } = this
    if (!dataset || this.sending) return
    this.sending = true
    this.failed = null
    try {
      const up = await api.uploads.add(await blob(this.painting.canvas), 'painting.png')
      const job = await jobs.run('finish', {
        draft: [ref.upload(up.id)], data: dataset.name, size: String(this.size), faithful: this.faithful, seed: this.seed, pictures: PICTURES,
      }, 1)
      this.keeping = [...this.keeping, job.id].slice(-12)
      remember('keeping', this.keeping)
    } catch (error) {
      const { problem, remedy } = ApiError.from(error)
      this.failed = { problem, remedy }
    }
    this.sending = false
  }
  kept = $derived(this.keeping.map((id) => jobs.get(id)).filter((job): job is Job => !!job))
}

export const paint = new Paint()
onEvent('datasets', () => paint.datasets && paint.load())
