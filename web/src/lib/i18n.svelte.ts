/**
 * Words in English and Chinese. t('jobs.pause'), t('jobs.showMore', 3), t('shell.free', {size: '3 GB'}): keys and values
 * are checked by the compiler, and Chinese must have exactly the keys of English. Chinese is loaded only when chosen.
 */

import { en } from './i18n/en'
import { keep, kept } from './kept'
import { said } from './said'
import { session } from './session.svelte'
import type { Said } from './said'
import type { TaskWords } from './i18n/tasks.en'
import { tasks as tasksEn } from './i18n/tasks.en'

type En = typeof en
type Word = string | ((...values: never[]) => string)
export type Key = { [P in keyof En & string]: `${P}.${keyof En[P] & string}` }[keyof En & string]
type WordOf<K extends Key> = K extends `${infer P extends keyof En & string}.${infer R}`
  ? R extends keyof En[P] ? En[P][R] : never
  : never
type Values<K extends Key> = WordOf<K> extends (...values: infer A) => string
  ? A
  : [values?: Record<string, string | number>]

export type Language = 'en' | 'zh'

class I18n {
  language = $state<Language>('en')
  words = $state.raw<Record<string, Record<string, Word>>>(en)
  tasks = $state.raw<TaskWords>(tasksEn)
  /** Sentences of the studio, which are English; null where they are shown as they are. */
  said = $state.raw<Said | null>(null)
  locale = $derived(this.language === 'zh' ? 'zh-CN' : 'en-GB')

  /** The language chosen last, else the browser's. Wait for it before anything is shown. */
  async begin(): Promise<void> {
    await this.#show(/^zh/i.test(kept('language') ?? navigator.language) ? 'zh' : 'en')
  }

  async choose(language: Language): Promise<void> {
    await this.#show(language)
    keep('language', language)
  }

  async #show(language: Language): Promise<void> {
    if (language === 'zh') {
      const { tasks, zh } = await import('./i18n/zh')
      this.words = zh
      this.tasks = tasks
      import('./i18n/said.zh.json').then(({ default: words }) => (this.said = words), () => {}) // else they stay English
    } else {
      this.words = en
      this.tasks = tasksEn
    }
    this.language = language
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'
  }
}

export const i18n = new I18n()

/** The words of a key. {name} in them is filled in; functions are called with the values. */
export function t<K extends Key>(key: K, ...values: Values<K>): string {
  const dot = key.indexOf('.')
  const word = i18n.words[key.slice(0, dot)]?.[key.slice(dot + 1)]
  if (typeof word === 'function') return (word as (...values: unknown[]) => string)(...values)
  const filled = values[0] as Record<string, string | number> | undefined
  return filled ? (word ?? key).replace(/\{(\w+)\}/g, (all, name) => String(filled[name] ?? all)) : (word ?? key)
}

session.words = {
  unreachable: () => t('shell.unreachable'),
  startAgain: () => t('shell.startAgain'),
  answered: (status) => t('shell.answered', { status }),
}

// Numbers, sizes and times, as the language writes them.

const made = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat>()
function formatter<F extends Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat>(name: string, make: (locale: string) => F): F {
  const key = `${i18n.locale} ${name}`
  if (!made.has(key)) made.set(key, make(i18n.locale))
  return made.get(key) as F
}

/** 12,400; with at most so many digits after the point. */
export function number(value: number, digits = 0): string {
  return formatter(`n${digits}`, (locale) => new Intl.NumberFormat(locale, { maximumFractionDigits: digits })).format(value)
}

/** A figure of any size in about four digits: 0.00213, 1.82, 1,240. */
export function figure(value: number): string {
  const options = { maximumSignificantDigits: Math.abs(value) >= 1000 ? 21 : 4, maximumFractionDigits: 6 }
  return formatter(Math.abs(value) >= 1000 ? 'f' : 'g', (locale) => new Intl.NumberFormat(locale, options)).format(
    Math.abs(value) >= 1000 ? Math.round(value) : value,
  )
}

/** A share 0..1 as 42 %. */
export function percent(share: number, digits = 0): string {
  return formatter(`p${digits}`, (locale) => new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: digits })).format(share)
}

/** Bytes as 3.2 GB. */
export function bytes(value: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']
  const at = Math.min(Math.max(0, Math.floor(Math.log10(Math.max(value, 1)) / 3)), units.length - 1)
  const shown = value / 1000 ** at
  const digits = at === 0 || shown >= 100 ? 0 : 1
  const format = (locale: string) =>
    new Intl.NumberFormat(locale, { style: 'unit', unit: units[at], unitDisplay: 'short', maximumFractionDigits: digits })
  return formatter(`b${at}${digits}`, format).format(shown)
}

/** Seconds as 40s, 3m 20s, 24m, 2h 5m: the largest part, and the next where that one is small. */
export function duration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds))
  const parts: [number, string][] = [
    [Math.floor(total / 86400), 'day'], [Math.floor((total % 86400) / 3600), 'hour'],
    [Math.floor((total % 3600) / 60), 'minute'], [total % 60, 'second'],
  ]
  const first = parts.findIndex(([value]) => value > 0)
  const shown = first < 0 ? [parts[3]] : parts.slice(first, first + (parts[first][0] < 10 ? 2 : 1))
  const unit = (name: string) => (locale: string) =>
    new Intl.NumberFormat(locale, { style: 'unit', unit: name, unitDisplay: 'narrow' })
  return shown
    .filter(([value], at) => value > 0 || at === 0)
    .map(([value, name]) => formatter(`d${name}`, unit(name)).format(value))
    .join(i18n.language === 'zh' ? '' : ' ')
}

/** An ISO time as 14 Mar, 16:20; with the year where it is another one. */
export function time(iso: string): string {
  const at = new Date(iso)
  const year = at.getFullYear() === new Date().getFullYear() ? undefined : 'numeric'
  const options = { year, month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' } as const
  return formatter(`t${year}`, (locale) => new Intl.DateTimeFormat(locale, options)).format(at)
}

/** An ISO time as 5 minutes ago, yesterday. */
export function ago(iso: string, now = Date.now()): string {
  const seconds = (Date.parse(iso) - now) / 1000
  const format = formatter('r', (locale) => new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }))
  const steps: [number, Intl.RelativeTimeFormatUnit][] = [[60, 'second'], [3600, 'minute'], [86400, 'hour'], [2592000, 'day'], [31536000, 'month']]
  const [, unit] = steps.find(([limit]) => Math.abs(seconds) < limit) ?? [0, 'year']
  if (unit === 'second') return t('shell.justNow')
  const size = { second: 1, minute: 60, hour: 3600, day: 86400, month: 2592000, year: 31536000 }[unit as 'day']
  return format.format(Math.round(seconds / size), unit)
}

/** A number as it was typed, with what may stand behind it: 0.5, 0,5, −3, 42 %; null where it is none. */
export function typedNumber(text: string): number | null {
  const value = parseFloat(text.replace(',', '.').replace('−', '-'))
  return Number.isFinite(value) ? value : null
}

/** Several things in a row: a, b and c. */
export function list(parts: string[]): string {
  return new Intl.ListFormat(i18n.locale, { type: 'conjunction' }).format(parts)
}

/** Sentences one after the other; empty ones are left out. */
export function sentences(...parts: string[]): string {
  return parts.filter(Boolean).join(i18n.language === 'zh' ? '' : ' ')
}

// Tasks and their fields, whose own words are English and come from the studio.

/** "hold_out" as "Hold out". */
export function plain(name: string): string {
  const words = name.replaceAll('_', ' ').replaceAll('-', ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

export function taskName(task: string): string {
  return i18n.tasks.names[task] ?? plain(task)
}

/** What a job does, and with what: "Train flowers". */
export function jobTitle({ task, title }: { task: string; title: string }): string {
  return `${taskName(task)} ${title.startsWith(`${task} `) ? title.slice(task.length + 1) : ''}`.trim()
}

/** What a task does, in a sentence; summary: the studio's own words. */
export function taskSummary(task: string, summary = ''): string {
  return i18n.tasks.summaries[task] ?? summary
}

/** A field's label and help; help: the studio's own words. */
export function fieldWords(task: string, field: string, help = ''): { label: string; help: string } {
  const own = i18n.tasks.fields[`${task}.${field}`]
  const any = i18n.tasks.fields[`*.${field}`]
  return { label: own?.label ?? any?.label ?? plain(field), help: own?.help ?? any?.help ?? said(help) }
}

/** A value of a choice in words. */
export function choiceName(task: string, field: string, value: string | number): string {
  const { choices } = i18n.tasks
  return choices[`${task}.${field}.${value}`] ?? choices[`${field}.${value}`] ?? choices[String(value)] ?? String(value)
}

/** What progress counts in: pictures, steps, frames. */
export function unitName(unit: string): string {
  return i18n.tasks.units[unit] ?? unit
}

/** A figure's name as the studio has it, in words: fd, pictures/s. */
export function factName(name: string): string {
  return i18n.tasks.facts[name] ?? plain(name)
}
