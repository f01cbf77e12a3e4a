/** What can be done with pictures: at once on the page, then in the studio, with a way back. */

import { api } from '$lib/api'
import { explain } from '$lib/explain'
import { fieldWords, t } from '$lib/i18n.svelte'
import { jobs } from '$lib/jobs.svelte'
import { router } from '$lib/router.svelte'
import { toast } from '$lib/toasts.svelte'
import type { Board, Job, PictureDetail } from '$lib/types'
import type { Shown } from './shown.svelte'

const AT_ONCE = 6 // requests at the same time

export async function star(shown: Shown, ids: string[], starred: boolean): Promise<void> {
  shown.change(ids, { starred })
  try {
    await api.pictures.mark(ids, { starred })
  } catch (error) {
    shown.refresh()
    toast.error(error)
  }
}

export async function onto(ids: string[], board: Board, on = true): Promise<void> {
  try {
    await api.pictures.mark(ids, on ? { add: board.id } : { remove: board.id })
    const undo = () => api.pictures.mark(ids, on ? { remove: board.id } : { add: board.id }).catch(toast.error)
    toast(t(on ? 'gallery.onBoard' : 'gallery.offBoard', ids.length, board.name), { action: { label: t('gallery.undo'), run: undo } })
  } catch (error) {
    toast.error(error)
  }
}

export async function trash(shown: Shown, ids: string[]): Promise<void> {
  shown.remove(ids)
  const failed = await each(ids, (id) => api.pictures.drop(id))
  const gone = ids.filter((id) => !failed.includes(id))
  if (failed.length) shown.refresh()
  if (!gone.length) return
  const undo = async () => {
    await each(gone, (id) => api.pictures.undelete(id))
    shown.refresh()
    toast(t('gallery.back'))
  }
  toast(t('gallery.trashed', gone.length), { seconds: 10, action: { label: t('gallery.undo'), run: undo } })
}

/** Do it for each, a few at a time; returns those that failed, of which the first is told. */
async function each(ids: string[], act: (id: string) => Promise<unknown>): Promise<string[]> {
  const failed: string[] = []
  const left = [...ids]
  const work = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      try {
        await act(id)
      } catch (error) {
        if (!failed.length) toast.error(error)
        failed.push(id)
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return failed
}

/** Wait for a job that makes pictures, and say when the first is there. */
export async function follow(begun: Promise<Job>): Promise<void> {
  try {
    const { id } = await begun
    toast(t('gallery.begun'))
    const job = await jobs.finished(id)
    if (job.status !== 'done') {
      if (job.error) toast(job.error.problem, { kind: 'error', detail: job.error.remedy })
      return
    }
    const made = job.result?.pictures[0]
    if (made) {
      toast(t('gallery.ready'), {
        kind: 'good', picture: `/api/pictures/${made}/thumb`, action: { label: t('gallery.see'), run: () => router.go(`/gallery/${made}`) },
      })
    }
  } catch (error) {
    toast.error(error)
  }
}

export function explained(picture: PictureDetail): void {
  const { run, seed, label, text } = picture
  const set = words(picture.again?.options.set)
  const options = { run: String(run), seed, ...(label ? { label } : {}), ...(text ? { text } : {}), ...(set.length ? { set } : {}) }
  void explain(options, { begun: t('gallery.explaining'), ready: t('gallery.explained'), open: t('gallery.openPage') })
}

const words = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])

/** Where in Explore a task's options are; '' where they are nowhere in it. */
export function inExplore(run: number | null, task: string | null | undefined, options: Record<string, unknown> | null | undefined): string {
  if (!run || !options || (task !== 'sample' && task !== 'mix')) return ''
  const query = new URLSearchParams()
  if (task === 'mix') {
    const seeds = String(options.seeds ?? '').split(',').filter(Boolean)
    const weights = String(options.weights ?? '').split(',')
    if (options.how !== 'blend' || seeds.length < 2) return ''
    query.set('mix', seeds.map((seed, at) => `${seed}*${weights[at] || 1}`).join(','))
    query.set('seed', seeds[0])
  } else {
    if (options.seed === null || options.seed === undefined) return ''
    query.set('seed', String(options.seed))
  }
  if (words(options.slide).length) query.set('slides', words(options.slide).join(','))
  if (words(options.set).length) query.set('set', words(options.set).join(','))
  if (options.label) query.set('label', String(options.label))
  const text = Array.isArray(options.text) ? options.text[0] : options.text
  if (text) query.set('text', String(text))
  return `/explore/${run}?${query}`
}

/** A value of a recipe as a line; '' for what says nothing. */
function written(value: unknown): string {
  if (value === null || value === undefined || value === '') return ''
  if (Array.isArray(value)) return value.map(written).filter(Boolean).join(', ')
  if (typeof value === 'object') return Object.entries(value).map(([name, one]) => `${name} ${written(one)}`).join(', ')
  return typeof value === 'number' && !Number.isInteger(value) ? String(Math.round(value * 1e6) / 1e6) : String(value)
}

/** A recipe as lines of a table: nested ones as "knobs · truncation". */
export function lines(recipe: Record<string, unknown>, before = ''): [name: string, value: string][] {
  return Object.entries(recipe).flatMap(([name, value]): [string, string][] => {
    const full = before ? `${before} · ${name}` : name
    if (value && typeof value === 'object' && !Array.isArray(value)) return lines(value as Record<string, unknown>, full)
    const text = written(value)
    return text ? [[full, text]] : []
  })
}

/** "knobs · truncation" in words. */
export const told = (name: string) => name.split(' · ').map((part) => t('gallery.recipeName', part, fieldWords('', part).label)).join(' · ')

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    toast(t('gallery.copied'))
  } catch (error) {
    toast.error(error)
  }
}
