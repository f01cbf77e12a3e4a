/** Names and sentences that several parts of the page say. */

import { figure, i18n, plain, t } from '$lib/i18n.svelte'
import type { Dataset, Family, Job, Run } from '$lib/types'

const NAMES: Record<string, string> = {
  gan: 'GAN', progan: 'ProGAN', stylegan: 'StyleGAN', stackgan: 'StackGAN', pix2pix: 'pix2pix', cut: 'CUT', vae: 'VAE',
}

export const familyName = (name: string) => NAMES[name] ?? plain(name)

/** What it is, in a sentence; in Chinese our own, where there is one. */
export function familySummary(family: Family): string {
  const key = `family_${family.name}`
  const own = i18n.words.train?.[key]
  return typeof own === 'string' && own ? own : family.summary
}

/** Why a data set cannot serve a family, in a sentence; '' if it can. others: how many other data sets there are. */
export function unfit(family: Family, set: Dataset | null | undefined, others: number): string {
  if (!set) return ''
  if (family.needs.includes('text') && !set.captions) return t('train.needsText')
  if (family.needs.includes('pair') && !set.pairs) return t('train.needsPair')
  if (family.needs.includes('source') && !others) return t('train.needsSource')
  return ''
}

/** What a run is doing, given the job that trains it. */
type State = 'training' | 'waiting' | 'paused' | 'stopped' | 'finished' | 'failed' | 'damaged'

export function stateOf(run: Run, job: Job | undefined): State {
  if (run.problem) return 'damaged'
  if (job?.status === 'running') return 'training'
  if (job?.status === 'waiting') return 'waiting'
  if (job?.status === 'paused') return 'paused'
  if (run.status === 'finished') return 'finished'
  if (run.status === 'training') return 'training'
  return job?.status === 'failed' ? 'failed' : 'stopped'
}

const LEADS = ['running', 'waiting', 'paused'] // states in which a job has its run in hand

/** Whether a job trains a run; one that was to go on with it and could not has no run of its own. */
export const trains = (job: Job, run: Run) =>
  job.task === 'train' && (job.run === run.folder || (!job.run && [String(run.number), run.folder].includes(String(job.options.resume ?? ''))))

/** Whether a job has its run in hand, now or later. */
export const leads = (job: Job | undefined) => !!job && LEADS.includes(job.status)

/** The job that trains a run now, or else the one that did last. */
export function jobOf(run: Run, all: Job[]): Job | undefined {
  const rank = (job: Job) => (leads(job) ? LEADS.indexOf(job.status) : LEADS.length)
  return all.filter((job) => trains(job, run)).sort((a, b) => rank(a) - rank(b) || b.created.localeCompare(a.created))[0]
}

/** The best distance that was measured, as a figure; '' if none was. */
export function bestOf(run: Run): string {
  const best = run.best?.best
  return typeof best === 'number' ? figure(best) : ''
}

/** A value of a run's choices, short. */
export function shown(value: unknown): string {
  if (value === null || value === undefined || value === '') return '–'
  if (typeof value === 'boolean') return t(value ? 'train.yes' : 'train.no')
  if (typeof value === 'number') return figure(value)
  if (Array.isArray(value)) return value.length ? value.map(shown).join(', ') : '–'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
