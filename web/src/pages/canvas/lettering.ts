/** Words broken into lines and made smaller until they fit, about as src/gesso/scene/text.py sets them. */

import type { Page, SceneLayer } from './placing'

export interface Block {
  lines: string[]
  size: number
  width: number
  height: number
  /** From the top of the box to the first baseline. */
  top: number
  font: string
  weight: number
  italic: boolean
}

const CLOSING = '!%),.:;?]}¢°·’”…‰、。〉》」』】〕！％），．：；？］｝～'
const OPENING = '([{£¥‘“〈《「『【〔（［｛￡￥'
const STEPS = 12
const wideLetter = /[\u1100-\u115f\u2e80-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u
let pen: CanvasRenderingContext2D | null = null

/** "DejaVu Serif Bold" as what CSS knows. */
function face(name: string | null | undefined): { family: string; weight: number; italic: boolean } {
  const given = (name ?? '').trim()
  const weight = /\b(black|heavy)\b/i.test(given) ? 900 : /\bbold\b/i.test(given) ? 700 : /\bmedium\b/i.test(given) ? 500 : /\blight\b/i.test(given) ? 300 : 400
  const family = given.replace(/\b(black|heavy|semi|extra|bold|medium|light|italic|oblique|regular|book)\b/gi, '').replace(/\s+/g, ' ').trim()
  return { family: family ? `"${family.replaceAll('"', '')}", sans-serif` : 'Aileron, "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif', weight, italic: /\b(italic|oblique)\b/i.test(given) }
}

function pieces(paragraph: string): string[] {
  const out: string[] = []
  let piece = ''
  let before = ' '
  for (const letter of paragraph) {
    const ends = (/\s/.test(before) && !/\s/.test(letter)) || (before === '-' && /\p{L}/u.test(letter)) || wideLetter.test(before) || wideLetter.test(letter)
    if (piece && ends && !CLOSING.includes(letter) && !OPENING.includes(before) && !/\s/.test(letter)) {
      out.push(piece)
      piece = ''
    }
    piece += letter
    before = letter
  }
  return piece ? [...out, piece] : out
}

export function set(page: Page, layer: SceneLayer, own: Record<string, unknown>): Block {
  pen ??= document.createElement('canvas').getContext('2d')!
  const context = pen
  const text = String(layer.text ?? '')
  const { family, weight, italic } = face(layer.font)
  const tracking = layer.tracking ?? 0
  const spacing = layer.spacing ?? 1.2
  const wide = layer.width ? page.side(layer.width, 0, 'width' in own) : null
  const high = layer.height ? page.side(layer.height, 1, 'height' in own) : null
  const asked = Math.max(1, page.short(layer.size ?? '6%'))
  const least = Math.min(Math.max(1, page.short(layer.smallest ?? '8')), asked)
  const letters = wideLetter.test(text)
  const [up, foot] = letters ? [0.85, 0.1] : [0.72, 0]
  // Widths grow with the size, so they are measured once, at 100.
  context.font = `${italic ? 'italic ' : ''}${weight} 100px ${family}`
  const known = new Map<string, number>()
  const length = (line: string) => {
    let found = known.get(line)
    if (found === undefined) known.set(line, (found = context.measureText(line).width / 100 + tracking * Math.max(0, [...line].length - 1)))
    return found
  }
  const broken = (limit: number | null) => {
    const out: string[] = []
    for (const paragraph of text.split('\n')) {
      if (limit === null) {
        out.push(paragraph.trim())
        continue
      }
      let line = ''
      for (const piece of pieces(paragraph)) {
        if (!line || length((line + piece).trimEnd()) <= limit) line += piece
        else {
          out.push(line.trim())
          line = piece.trimStart()
        }
      }
      out.push(line.trim())
    }
    return out
  }
  const fitting = (size: number) => {
    const limit = wide === null ? null : wide / size
    const lines = broken(limit)
    if (limit !== null && lines.some((line) => length(line) > limit)) return null
    return high !== null && (up + foot + (lines.length - 1) * spacing) * size > high ? null : lines
  }
  let size = asked
  let lines = fitting(asked)
  if (!lines) {
    let [low, top] = [least, asked]
    for (let step = 0; step < STEPS; step++) {
      size = (low + top) / 2
      if (fitting(size)) low = size
      else top = size
    }
    size = low
    lines = fitting(size)
  }
  lines ??= broken(wide === null ? null : wide / size)
  if ((layer.balance ?? true) && wide !== null && lines.length > 1) {
    let [low, top] = [wide / size / lines.length / 2, wide / size]
    for (let step = 0; step < 10; step++) {
      const middle = (low + top) / 2
      const tried = broken(middle)
      if (tried.length <= lines.length && tried.every((line) => length(line) <= middle)) {
        lines = tried
        top = middle
      } else low = middle
    }
  }
  const width = Math.max(wide ?? 0, ...lines.map((line) => length(line) * size))
  return { lines, size, width, height: (up + foot + (lines.length - 1) * spacing) * size, top: up * size, font: family, weight, italic }
}
