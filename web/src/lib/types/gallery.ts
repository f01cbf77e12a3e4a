/** Pictures that were made or brought, with what is known of them. */

import type { Options } from './tasks'

export interface Upload {
  id: string
  width: number
  height: number
  channels: number
  url: string
  name: string
  notes: string[]
  recipe: Recipe | null
}

export interface Recipe {
  tool: 'gesso' | 'a1111' | 'invokeai' | 'comfyui' | 'fooocus'
  task: string | null
  options: Options | null
  text: string
  seed: number | null
  model: string | null
  raw: unknown
}

export interface Picture {
  id: string
  name: string
  kind: 'picture' | 'film' | 'page' | 'file'
  width: number
  height: number
  bytes: number
  created: string
  task: string | null
  run: number | null
  run_name: string | null
  family: string | null
  seed: number | null
  label: string | null
  text: string | null
  starred: boolean
  boards: string[]
  note: string
  colours: string[]
  url: string
  thumb: string
  missing: boolean
}

export interface PictureDetail extends Picture {
  recipe: Record<string, unknown> | null
  parents: (Picture | { name: string; sha256: string })[]
  children: Picture[]
  again: null | { task: string; options: Options }
  parameters: string
  job: string | null
}

export interface PictureQuery {
  q?: string
  task?: string
  run?: number | string
  family?: string
  seed?: number | string
  board?: string
  starred?: boolean
  colour?: string
  min_side?: number
  max_side?: number
  shape?: 'wide' | 'tall' | 'square'
  kind?: 'picture' | 'film' | 'file'
  sort?: 'newest' | 'oldest' | 'largest'
  offset?: number
  limit?: number
}

export interface PicturePage {
  total: number
  pictures: Picture[]
}

export interface Board {
  id: string
  name: string
  count: number
  cover: string[]
}
