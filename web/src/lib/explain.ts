/** The page that explains a picture: made by a job, then opened beside the studio. */

import { jobs } from './jobs.svelte'
import { toast } from './toasts.svelte'
import type { Options } from './types'

/** Ask for it, wait, open it; also from a toast, as browsers may not open what comes later than a click. */
export async function explain(options: Options, words: { begun: string; ready: string; open: string }): Promise<void> {
  try {
    const { id } = await jobs.run('explain', options)
    toast(words.begun)
    const { result, error } = await jobs.finished(id)
    const page = result?.files.find((file) => file.name.endsWith('.html'))
    if (page) {
      const show = () => window.open(page.url, '_blank', 'noopener')
      show()
      toast(words.ready, { kind: 'good', seconds: 30, action: { label: words.open, run: show } })
    } else if (error) toast(error.problem, { kind: 'error', detail: error.remedy })
  } catch (error) {
    toast.error(error)
  }
}
