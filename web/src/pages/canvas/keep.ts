/** What is painted and not yet made into anything, kept in this browser: a reload or a crash loses nothing. */

import { keep, kept as found } from '$lib/kept'

const STORE = 'paint'
let opened: Promise<IDBDatabase> | null = null

function database(): Promise<IDBDatabase> {
  return (opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open('gesso.canvas', 1)
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE)
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => reject(asked.error)
  }))
}

function done<V>(request: IDBRequest<V>): Promise<V> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** Blobs by name. A private window may keep nothing: then nothing is found. */
export const kept = {
  async get(name: string): Promise<Blob | null> {
    try {
      return (await done((await database()).transaction(STORE).objectStore(STORE).get(name))) ?? null
    } catch {
      return null
    }
  },
  async put(name: string, value: Blob | null): Promise<void> {
    try {
      const store = (await database()).transaction(STORE, 'readwrite').objectStore(STORE)
      await (value ? done(store.put(value, name)) : done(store.delete(name)))
    } catch {
      /* as above */
    }
  },
}

/** A plain value of this tab (session) or of this browser (local). */
export function recall<V>(name: string, usual: V, storage: 'session' | 'local' = 'session'): V {
  try {
    return JSON.parse(found(`canvas.${name}`, { tab: storage === 'session' }) ?? 'null') ?? usual
  } catch {
    return usual // written by another
  }
}

/** Whether it is kept. */
export function remember(name: string, value: unknown, storage: 'session' | 'local' = 'session'): boolean {
  return keep(`canvas.${name}`, JSON.stringify(value), { tab: storage === 'session' })
}

/** Call it often: it is done once, when there is quiet, or when the page is left. What fails is tried with the next call. */
export function quietly(act: () => unknown, wait = 600): { (): void; now: () => void } {
  let timer = 0
  async function run() {
    timer = 0
    try {
      await act()
    } catch {
      /* nothing is lost but what a reload would bring back */
    }
  }
  const soon = () => {
    clearTimeout(timer)
    timer = window.setTimeout(run, wait)
  }
  /** What is due is done at once. */
  soon.now = () => {
    if (!timer) return
    clearTimeout(timer)
    run()
  }
  addEventListener('pagehide', soon.now)
  return soon
}
