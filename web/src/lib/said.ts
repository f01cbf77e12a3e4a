/**
 * What the studio itself says, in the page's language. Its sentences are English; i18n/said.zh has them with {} for
 * every value, and what they are in Chinese, with {0}, {1}, … for these. What is not there stays English.
 */

import { i18n } from './i18n.svelte'

/** sentences: as they stand. values: what is put into them, in words. */
export type Said = Record<'sentences' | 'values', Record<string, string>>
type Pattern = { form: RegExp; words: string; sentences: number }

const END = /(?<=[.!?])\s+/
const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

class Book {
  #patterns = new Map<string, Pattern[]>()
  #known = new Map<string, string>()
  #values: Book | null

  constructor(private words: Record<string, string>, values: Record<string, string> | null) {
    this.#values = values ? new Book(values, null) : null
    const longest = Object.entries(words).filter(([english]) => english.includes('{}')).sort(([a], [b]) => b.length - a.length)
    for (const [english, chinese] of longest) {
      const parts = english.split('{}')
      const form = new RegExp(`^${parts.map(escaped).join('([^]*?)')}$`)
      const key = parts[0].slice(0, 2)
      const pattern = { form, words: chinese, sentences: english.split(END).length }
      this.#patterns.set(key, [...(this.#patterns.get(key) ?? []), pattern])
    }
  }

  /** What is known as a whole; null where it is not. sentences: of how many a pattern may be, where that matters. */
  known(text: string, sentences?: number): string | null {
    if (Object.hasOwn(this.words, text)) return this.words[text]
    for (const key of new Set([text.slice(0, 2), text.slice(0, 1), ''])) {
      for (const one of this.#patterns.get(key) ?? []) {
        const found = sentences === undefined || one.sentences === sentences ? one.form.exec(text) : null
        if (found) return one.words.replace(/\{(\d)\}/g, (_, at) => this.#value(found[Number(at) + 1] ?? ''))
      }
    }
    return null
  }

  /** Sentence by sentence, as many at once as are known. */
  line(text: string): string {
    const parts = text.split(END)
    let out = ''
    for (let from = 0; from < parts.length; ) {
      const { to, words } = this.#next(parts, from)
      out += out && (words === null || /[\w.]$/.test(out)) ? ` ${words ?? parts[from]}` : (words ?? parts[from])
      from = to
    }
    return out
  }

  said(text: string): string {
    let found = this.#known.get(text)
    if (found === undefined) {
      found = text.split('\n').map((line) => this.line(line)).join('\n')
      this.#known.set(text, found)
    }
    return found
  }

  /** The sentences from one on that are known together: up to which, and in which words. */
  #next(parts: string[], from: number): { to: number; words: string | null } {
    for (const loose of [false, true]) {  // at last a value may hold the end of a sentence
      for (let to = parts.length; to > from; to -= 1) {
        const words = this.known(parts.slice(from, to).join(' '), loose ? undefined : to - from)
        if (words !== null) return { to, words }
      }
    }
    return { to: from + 1, words: null }
  }

  #value(text: string): string {
    const sentence = `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
    return this.#values?.known(text) ?? this.known(text) ?? this.known(sentence)?.replace(/。$/, '') ?? text
  }
}

let book: { of: Said; read: Book } | null = null

/** A text of the studio, of one sentence or several, in the page's language. */
export function said(text: string): string {
  const words = i18n.language === 'zh' ? i18n.said : null
  if (!words || !text) return text
  if (book?.of !== words) book = { of: words, read: new Book(words.sentences, words.values) }
  return book.read.said(text)
}
