/** Sentences that several parts of the page say. */

import { number, t } from '$lib/i18n.svelte'
import type { Rights } from '$lib/types'

/** Under which licences the pictures are, the most frequent first. */
export function licenceWords(rights: Rights, count: number): string {
  const given = Object.entries(rights.licences).filter(([name]) => name).sort((a, b) => b[1] - a[1])
  const without = rights.licences[''] ?? 0
  if (!given.length) return t('pictures.noLicence')
  const named = given.slice(0, 2).map(([name, n]) => (n === count ? name : `${name} (${number(n)})`)).join(', ')
  const more = given.length > 2 ? `, ${t('pictures.andMore', given.length - 2)}` : ''
  return named + more + (without ? ` · ${t('pictures.without', { n: number(without) })}` : '')
}

/** Grey, colour, colour with transparency. */
export const coloursOf = (channels: number) => t(channels === 1 ? 'pictures.grey' : channels === 4 ? 'pictures.rgba' : 'pictures.rgb')
