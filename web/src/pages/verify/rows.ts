/** What is known of a file, as rows: a name, how it stands, a sentence, and more beside it. */

import { number, sentences, taskName, t, time } from '$lib/i18n.svelte'
import { brief, isTerms } from '$lib/rights'
import type { Verified } from '$lib/types'

export interface Row {
  name: string
  /** good: it holds; bad: it does not; said: anyone's word; none: there is nothing; wait: it is being looked for. */
  state: 'good' | 'bad' | 'said' | 'none' | 'wait'
  text: string
  more?: [name: string, value: string][]
}

const TOOLS: Record<string, string> = { gesso: 'Gesso', a1111: 'A1111', invokeai: 'InvokeAI', comfyui: 'ComfyUI', fooocus: 'Fooocus' }
const MOST = 6 // names in a row

function short(names: string[]): string {
  return names.slice(0, MOST).join(', ') + (names.length > MOST ? ' …' : '')
}

function when(at: string): string {
  return Number.isNaN(Date.parse(at)) ? at : time(at)
}

function credentials({ credentials: one, verdict }: Verified): Row {
  const name = t('verify.credentials')
  if (one.state === 'none') return { name, state: 'none', text: t('verify.none') }
  if (one.state === 'unreadable') return { name, state: 'bad', text: t('verify.damaged') }
  const holds = one.state === 'valid' || one.state === 'trusted'
  const codes = one.problems.filter((code) => code !== 'signingCredential.untrusted')
  const why = [...new Set(codes.map((code) => t('verify.why', code)))].join('; ') || t('verify.holdNotAtAll')
  const signer = one.signer || t('verify.unnamed')
  const more: [string, string][] = [
    [t(holds ? 'verify.signedBy' : 'verify.saysSignedBy'), holds ? `${signer} · ${t(verdict === 'trusted' ? 'verify.known' : 'verify.unknown')}` : signer],
    [t('verify.at'), one.at ? when(one.at) : ''], [t('verify.generator'), one.generator], [t('verify.parents'), short(one.parents)],
  ]
  return { name, state: holds ? 'good' : 'bad', text: holds ? t('verify.hold') : t('verify.holdNot', { why }), more: more.filter(([, value]) => value) }
}

function machine({ machine: by, source, aigc: labels, watermark: id, settings }: Verified): Row {
  const name = t('verify.machine')
  const kind = source ? t('verify.kind', source) : ''
  if (by === 'signed') return { name, state: 'good', text: t('verify.bySigner', kind) }
  if (by === 'said' && !kind && !labels.length && id) return { name, state: 'said', text: t('verify.byWatermark') }
  if (by === 'said' && !kind && !labels.length && settings) return { name, state: 'said', text: t('verify.bySettings') }
  if (by === 'said') return { name, state: 'said', text: t('verify.byItself', kind) }
  return kind ? { name, state: 'said', text: t('verify.other', kind) } : { name, state: 'none', text: t('verify.saysNothing') }
}

function aigc({ aigc: labels }: Verified): Row[] {
  const name = t('verify.aigc')
  if (!labels.length) return [{ name, state: 'none', text: t('verify.none') }]
  return labels.slice(0, 3).map((one) => ({
    name, state: 'said',
    text: t('verify.aigcBy', { what: t(`verify.aigc${one.Label}`), who: one.ContentProducer || t('verify.unnamed') }),
    more: one.ProduceID ? [[t('verify.contentNumber'), one.ProduceID]] : [],
  }))
}

function recipe({ recipe: own, settings }: Verified): Row {
  const name = t('verify.recipe')
  if (own) {
    const about = { task: taskName(own.task), seed: own.seed, run: own.run ?? '', step: number(own.step ?? 0) }
    const made = Object.keys(own.inputs ?? {})
    const rows: [string, string][] = [[t('verify.text'), typeof own.text === 'string' ? own.text : ''], [t('verify.parents'), short(made)]]
    return { name, state: 'said', text: own.run ? t('verify.ofRun', about) : t('verify.ofWork', about), more: rows.filter(([, value]) => value) }
  }
  if (!settings) return { name, state: 'none', text: t('verify.none') }
  const rows: [string, string][] = [[t('verify.model'), settings.model ?? ''], [t('verify.text'), settings.text]]
  const text = t('verify.ofTool', TOOLS[settings.tool] ?? settings.tool, settings.seed === null ? '' : String(settings.seed))
  return { name, state: 'said', text, more: rows.filter(([, value]) => value) }
}

function rights({ credentials: one, recipe: own }: Verified): Row[] {
  const holds = one.state === 'valid' || one.state === 'trusted'
  const terms = [holds ? one.assertions['gesso.data'] : null, own?.rights].find(isTerms)
  return terms ? [{ name: t('verify.rights'), state: 'said', text: brief(terms) }] : []
}

function watermark({ watermark: id, looked }: Verified, looking: boolean): Row {
  const name = t('verify.watermark')
  if (id) return { name, state: 'good', text: t('verify.marked64', { id }) }
  if (looking) return { name, state: 'wait', text: t('verify.lookingFor') }
  return { name, state: 'none', text: t(looked ? 'verify.noneFound' : 'verify.notLooked') }
}

function ledger({ ledger: entry, written, credentials: one }: Verified): Row {
  const name = t('verify.ledger')
  if (!entry) return { name, state: 'none', text: t('verify.notHere') }
  const at = { when: when(entry.at) }
  if (written) return { name, state: 'good', text: t('verify.thisFile', at) }
  const lost = entry.signed && one.state === 'none'
  return { name, state: 'said', text: sentences(t('verify.suchPicture', at), lost ? t('verify.wasSigned') : '') }
}

/** All of it. looking: the watermark is being looked for. */
export function rowsOf(found: Verified, looking: boolean): Row[] {
  return [
    credentials(found), machine(found), ...aigc(found), recipe(found), ...rights(found), watermark(found, looking), ledger(found),
  ]
}
