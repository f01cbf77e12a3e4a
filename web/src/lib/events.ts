/** One stream of events for the whole page. It comes back by itself, also when the studio was started again. */

import { api } from './api'
import { session } from './session.svelte'
import type { Events } from './types'

type Name = keyof Events
type Heard<N extends Name> = (value: Events[N], name: N) => void

const NAMES: Name[] = ['job', 'progress', 'preview', 'gone', 'picture', 'boards', 'datasets', 'runs', 'queue', 'reset']
const LOST = 2000 // milliseconds without a connection until the page says so
const AGAIN = 1500 // until a refused connection is tried again
const HIDDEN = 60_000 // after which a hidden page lets its connection go: browsers allow six to one server

const listeners = new Map<Name, Set<Heard<Name>>>()
let source: EventSource | null = null
let missed = false // whether this connection began without knowing where the last one ended
let lostTimer = 0
let againTimer = 0
let hiddenTimer = 0

/** Hear of events by name; returns what stops it, so that it can be returned from onMount or $effect. */
export function onEvent<N extends Name>(names: N | N[], heard: Heard<N>): () => void {
  const all = Array.isArray(names) ? names : [names]
  for (const name of all) {
    if (!listeners.has(name)) listeners.set(name, new Set())
    listeners.get(name)!.add(heard as unknown as Heard<Name>)
  }
  return () => all.forEach((name) => listeners.get(name)?.delete(heard as unknown as Heard<Name>))
}

function tell<N extends Name>(name: N, value: Events[N]): void {
  for (const heard of [...(listeners.get(name) ?? [])]) heard(value as Events[Name], name)
}

function connected(): void {
  clearTimeout(lostTimer)
  lostTimer = 0
  session.lost = false
}

function hello(boot: string): void {
  connected()
  const again = session.boot !== '' && session.boot !== boot
  session.boot = boot
  if (again) {
    api.tasks.forget()
    api.families.forget()
  }
  if (again || missed) tell('reset', {})
  missed = false
}

function open(): void {
  if (source) return
  source = new EventSource('/api/events')
  source.addEventListener('hello', (event) => hello(JSON.parse((event as MessageEvent).data).boot))
  for (const name of NAMES) {
    source.addEventListener(name, (event) => tell(name, JSON.parse((event as MessageEvent).data)))
  }
  source.onopen = connected
  source.onerror = () => {
    if (!lostTimer) lostTimer = window.setTimeout(() => (session.lost = !session.signedOut), LOST)
    if (source?.readyState === EventSource.CLOSED) {
      close()
      missed = true
      clearTimeout(againTimer)
      againTimer = window.setTimeout(() => {
        api.about().catch(() => {}) // says whether it is that this page is not signed in
        if (!session.signedOut) open()
      }, AGAIN)
    }
  }
}

function close(): void {
  source?.close()
  source = null
}

/** Begin; once, when the page does. */
export function listen(): void {
  open()
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hiddenTimer)
    if (document.hidden) {
      hiddenTimer = window.setTimeout(() => {
        close()
        missed = true
      }, HIDDEN)
    } else open()
  })
  window.addEventListener('online', open)
}
