/** Files that are verified, the newest first: what is known of each at once, then what its pixels hold. */

import { api, ApiError } from '$lib/api'
import type { Verified } from '$lib/types'

const SHOWN = /^image\/(png|jpeg|webp|gif|avif|apng)$/ // what browsers show

export class Check {
  found = $state.raw<Verified | null>(null)
  error = $state.raw<ApiError | null>(null)
  /** waiting for others; sending; looking for the watermark, when most is known already; done. */
  state = $state<'waiting' | 'sending' | 'looking' | 'done'>('waiting')
  open = $state(true)
  /** Its picture cannot be shown. */
  blind = $state(false)
  /** Of the picture; '' where it is none that can be shown. */
  readonly address: string
  #stop = new AbortController()

  constructor(readonly file: File) {
    this.address = SHOWN.test(file.type) ? URL.createObjectURL(file) : ''
  }

  async run(): Promise<void> {
    if (this.#stop.signal.aborted) return
    try {
      this.state = 'sending'
      this.found = await api.verify(this.file, false, undefined, this.#stop.signal)
      if (this.file.type.startsWith('image/') && this.found.verdict !== 'unreadable') {
        this.state = 'looking'
        this.found = await api.verify(this.file, true, undefined, this.#stop.signal)
      }
    } catch (error) {
      this.error = ApiError.from(error)
    }
    this.state = 'done'
  }

  close(): void {
    this.#stop.abort()
    if (this.address) URL.revokeObjectURL(this.address)
  }
}

class Checks {
  all = $state.raw<Check[]>([])
  #working = false

  add(files: Iterable<File>): void {
    const added = [...files].map((file) => new Check(file))
    if (added.length > 1) added.slice(1).forEach((one) => (one.open = false))
    if (added.length) this.all.forEach((one) => (one.open = false))
    this.all = [...added, ...this.all]
    void this.#work()
  }

  remove(check: Check): void {
    check.close()
    this.all = this.all.filter((one) => one !== check)
  }

  clear(): void {
    this.all.forEach((one) => one.close())
    this.all = []
  }

  /** One at a time: the studio looks at one at a time, too. */
  async #work(): Promise<void> {
    if (this.#working) return
    this.#working = true
    for (let next = this.#next(); next; next = this.#next()) await next.run()
    this.#working = false
  }

  #next = () => this.all.find((one) => one.state === 'waiting')
}

/** They stay while one looks at other pages. */
export const checks = new Checks()
