/** What licences come to, in words. */

import { sentences, t } from './i18n.svelte'
import type { Terms } from './types'

/** "Commercial use: allowed. Changing: allowed. Makers must be named." */
export function brief(terms: Terms): string {
  const conflict = terms.conflict || !!terms.conflicts?.length
  return sentences(
    t('marks.brief', t(`marks.${terms.commercial}`), t(`marks.${terms.derivatives}`)),
    terms.share_alike.length ? t('marks.briefAlike', { licences: terms.share_alike.slice(0, 3).join(', ') }) : '',
    terms.attribution ? t('marks.nameMakers') : '',
    conflict ? t('marks.briefConflict') : '',
  )
}

/** Whether a value of a file or a record has the terms that `brief` tells. */
export function isTerms(value: unknown): value is Terms {
  const one = value as Terms | null
  const known = ['yes', 'no', 'unknown']
  return !!one && typeof one === 'object' && known.includes(one.commercial) && known.includes(one.derivatives) && Array.isArray(one.share_alike)
}
