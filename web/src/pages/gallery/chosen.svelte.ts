/** Which pictures are selected, in the way of files: click, Shift, Mod, all, none. */

export class Chosen {
  ids = $state.raw<ReadonlySet<string>>(new Set())
  /** Where a range begins: a place in the list. */
  anchor = 0

  get count(): number {
    return this.ids.size
  }
  has(id: string): boolean {
    return this.ids.has(id)
  }
  only(id: string, place: number): void {
    this.ids = new Set([id])
    this.anchor = place
  }
  toggle(id: string, place: number): void {
    const next = new Set(this.ids)
    if (!next.delete(id)) next.add(id)
    this.ids = next
    this.anchor = place
  }
  /** These beside the others. */
  also(ids: Iterable<string>): void {
    this.ids = new Set([...this.ids, ...ids])
  }
  set(ids: Iterable<string>): void {
    this.ids = new Set(ids)
  }
  without(ids: Iterable<string>): void {
    const next = new Set(this.ids)
    for (const id of ids) next.delete(id)
    if (next.size !== this.ids.size) this.ids = next
  }
  clear(): void {
    if (this.ids.size) this.ids = new Set()
  }
}
