/** A long list, fetched a page at a time as it comes into view: what VirtualGrid shows. */

const PAGE = 100

export class Paged<P> {
  total = $state(0)
  /** By place; undefined where it was not fetched yet. */
  items = $state.raw<(P | undefined)[]>([])
  loaded = $state(false)
  error = $state<unknown>(null)
  #asked = new Set<number>()
  #turn = 0
  #range: [number, number] = [0, 1]

  constructor(readonly fetched: (offset: number, limit: number) => Promise<{ total: number; pictures: P[] }>) {}

  /** Begin anew, as for another search; what was there stays until the first answer. */
  anew(): void {
    this.#turn++
    this.#asked.clear()
    this.loaded = false
    this.want(...this.#range)
  }

  /** Places from..to (exclusive) are in view. */
  want(from: number, to: number): void {
    this.#range = [from, to]
    for (let at = Math.floor(from / PAGE) * PAGE; at < to; at += PAGE) void this.#fetch(at)
  }

  async #fetch(at: number): Promise<void> {
    if (this.#asked.has(at)) return
    this.#asked.add(at)
    const turn = this.#turn
    try {
      const { total, pictures } = await this.fetched(at, PAGE)
      if (turn !== this.#turn) return
      const next = this.loaded ? [...this.items] : []
      pictures.forEach((picture, number) => (next[at + number] = picture))
      this.items = next
      this.total = total
      this.loaded = true
      this.error = null
    } catch (error) {
      if (turn !== this.#turn) return
      this.#asked.delete(at)
      this.error = error
    }
  }
}
