/** Short notices at the edge of the page; failures stay until they are closed. */

import { ApiError } from './api'

export interface Toast {
  id: number
  kind: 'plain' | 'good' | 'error'
  text: string
  detail: string
  action?: { label: string; run: () => void }
  /** The address of a small picture, shown before the words. */
  picture?: string
}

const SECONDS = 5

class Toasts {
  list = $state<Toast[]>([])
  #next = 1

  show(text: string, more: Partial<Omit<Toast, 'id' | 'text'>> & { seconds?: number } = {}): number {
    const { seconds = more.kind === 'error' ? 0 : SECONDS, kind = 'plain', detail = '', action, picture } = more
    const same = this.list.find((one) => one.text === text && one.detail === detail && one.picture === picture)
    if (same) return same.id
    const id = this.#next++
    this.list.push({ id, kind, text, detail, action, picture })
    if (this.list.length > 4) this.list.shift()
    if (seconds) setTimeout(() => this.close(id), (action ? seconds + 3 : seconds) * 1000)
    return id
  }

  close(id: number): void {
    this.list = this.list.filter((one) => one.id !== id)
  }
}

export const toasts = new Toasts()

/** toast('Saved.'), toast('Removed.', {action: {label: 'Undo', run}}), toast.error(error). */
export function toast(text: string, more: Parameters<Toasts['show']>[1] = {}): number {
  return toasts.show(text, more)
}
toast.error = (error: unknown): void => {
  if (error instanceof DOMException && error.name === 'AbortError') return
  const { problem, remedy, status } = ApiError.from(error)
  if (status !== 401) toasts.show(problem, { kind: 'error', detail: remedy })
}
