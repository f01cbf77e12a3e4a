/** What can be done with a picture: each a task, with what of its form comes first and what the canvas itself gives. */

import type { Options } from '$lib/types'
import type { Glyph } from './glyphs'

/** Options that a painted mask can be; '': none is used. */
export type Role = '' | 'mask' | 'keep' | 'protect' | 'move'

/** What the pointer does on the picture, and its key. */
export const HOLDS = [['hand', 'v'], ['brush', 'b'], ['eraser', 'e'], ['box', 'r'], ['lasso', 'l']] as const
export type Hold = (typeof HOLDS)[number][0]

export interface Tool {
  name: 'inpaint' | 'outpaint' | 'restore' | 'style' | 'texture' | 'retarget' | 'variations' | 'upscale' | 'cutout' | 'redraw' | 'translate'
  glyph: Glyph
  /** Its option for the picture; several: as a list. */
  picture: string
  several?: boolean
  /** What a mask can be in it; the first is what it is at first. */
  roles: Role[]
  /** Fields of its form that come first. */
  main: string[]
  /** Fields that the canvas gives, or that mean nothing here. */
  without: string[]
  /** What its form begins with, where not with the defaults. */
  first: Options
  /** grow: a frame around the picture; shape: another shape for it. */
  frame?: 'grow' | 'shape'
}

const COMMON = ['recipe', 'threads', 'quality', 'format', 'device']

export const TOOLS: Tool[] = [
  { name: 'inpaint', glyph: 'heal', picture: 'picture', roles: ['mask'], main: ['count', 'grow'], without: ['picture', 'mask'], first: { count: 3 } },
  { name: 'outpaint', glyph: 'grow', picture: 'picture', roles: [], main: [], without: ['picture', 'to', 'across', 'down', 'at'], first: {}, frame: 'grow' },
  {
    name: 'restore', glyph: 'restore', picture: 'picture', roles: ['', 'mask'], main: ['find', 'sensitivity', 'tone', 'run', 'do', 'count'],
    without: ['picture', 'mask', 'look'], first: {},
  },
  { name: 'style', glyph: 'style', picture: 'content', roles: ['', 'mask', 'keep'], main: ['style', 'faithful', 'stroke', 'colours'], without: ['content', 'mask', 'keep', 'network_steps'], first: {} },
  { name: 'texture', glyph: 'texture', picture: 'sample', roles: [], main: ['size', 'tile', 'turns', 'maps'], without: ['sample'], first: { size: '512x512', tile: true } },
  { name: 'retarget', glyph: 'shape', picture: 'picture', roles: ['', 'protect', 'move'], main: [], without: ['picture', 'size', 'protect', 'move', 'by'], first: {}, frame: 'shape' },
  { name: 'variations', glyph: 'vary', picture: 'picture', roles: [], main: ['count', 'different'], without: ['picture'], first: { count: 4 } },
  { name: 'upscale', glyph: 'larger', picture: 'picture', roles: [], main: ['factor', 'sharp'], without: ['picture'], first: {} },
  { name: 'cutout', glyph: 'cut', picture: 'picture', roles: [], main: ['holes', 'crop'], without: ['picture'], first: {} },
  { name: 'redraw', glyph: 'redraw', picture: 'picture', several: true, roles: [], main: ['run', 'strength', 'text', 'label', 'count'], without: ['picture'], first: {} },
  { name: 'translate', glyph: 'translate', picture: 'picture', several: true, roles: [], main: ['run', 'text', 'label', 'count'], without: ['picture'], first: {} },
]
for (const tool of TOOLS) tool.without.push(...COMMON)

/** Families whose runs can do a task. */
export const ABLE: Record<string, string[]> = {
  redraw: ['flow', 'vae', 'tokens'],
  restore: ['flow', 'vae', 'tokens'],
  translate: ['pix2pix', 'cut', 'regions'],
}

export const KINDS = ['scratches', 'dust', 'holes', 'cracks', 'stains'] as const
export const SHAPES: [string, number][] = [['1:1', 1], ['4:5', 4 / 5], ['3:4', 3 / 4], ['3:2', 3 / 2], ['16:9', 16 / 9], ['9:16', 9 / 16]]
