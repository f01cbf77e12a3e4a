/** Works that were asked for on this page, and what came out of them. */

import { api, ApiError } from '$lib/api'
import { t } from '$lib/i18n.svelte'
import { jobs } from '$lib/jobs.svelte'
import { router } from '$lib/router.svelte'
import { toast } from '$lib/toasts.svelte'
import type { Job, Options, Picture } from '$lib/types'

const FIRST = 5 // priority: someone waits for it

/** look: the picture as it was on the page, until the kept one is there. */
export interface Made {
  key: number
  kind: 'keep' | 'cross' | 'drag' | 'film'
  job: string | null
  look: string
  star: boolean
  state: 'making' | 'done' | 'failed'
  pictures: Picture[]
  error: { problem: string; remedy: string } | null
}

export class Shelf {
  list = $state<Made[]>([])
  #next = 1

  /** Ask for a work; what comes out is told in a toast, and kept here. without: pictures before those that count. */
  async make(kind: Made['kind'], task: string, options: Options, { look = '', star = false, without = 0 } = {}): Promise<Made> {
    this.list.unshift({ key: this.#next++, kind, job: null, look, star, state: 'making', pictures: [], error: null })
    const made = this.list[0]
    try {
      const begun = await jobs.run(task, options, FIRST)
      made.job = begun.id
      const job = await jobs.finished(begun.id)
      if (job.status === 'done') await this.#take(made, job, without)
      else if (job.error) throw new ApiError(job.error.problem, job.error.remedy)
      else this.drop(made) // it was cancelled
    } catch (error) {
      made.state = 'failed'
      made.error = ApiError.from(error)
      toast.error(error)
    }
    return made
  }

  async star(made: Made): Promise<void> {
    made.star = !made.star
    if (made.state !== 'done') return
    try {
      await api.pictures.mark(made.pictures.map((one) => one.id), { starred: made.star })
    } catch (error) {
      made.star = !made.star
      toast.error(error)
    }
  }

  drop(made: Made): void {
    this.list = this.list.filter((one) => one.key !== made.key)
  }

  async #take(made: Made, job: Job, without: number): Promise<void> {
    const ids = (job.result?.pictures ?? []).slice(without)
    made.pictures = await Promise.all(ids.map((id) => api.pictures.get(id)))
    made.state = 'done'
    const first = made.pictures[0]
    if (made.star && first) api.pictures.mark(made.pictures.map((one) => one.id), { starred: true }).catch(toast.error)
    const words = { keep: 'explore.kept', cross: 'explore.crossOf', drag: 'explore.dragged', film: 'explore.exported' } as const
    toast(t(words[made.kind]), {
      kind: 'good', picture: first?.thumb,
      action: first && { label: t('explore.toGallery'), run: () => router.go(`/gallery/${first.id}`) },
    })
  }
}
