/** Trainings, and what their models can be asked to draw. */

import type { Rights } from './datasets'
import type { Schema } from './tasks'

export interface Warning {
  rule: string
  text: string
  seen: number
  over: boolean
}

export interface Run {
  number: number
  folder: string
  name: string
  family: string
  status: 'new' | 'training' | 'stopped' | 'finished'
  created: string
  total: number
  seen: number
  minutes_spent: number
  width: number
  height: number
  labels: string[]
  text: boolean
  /** Whether it draws from pictures that it is given, as one that translates does. */
  source?: boolean
  has_model: boolean
  preview: string | null
  best: Record<string, unknown> | null
  warnings: Warning[]
  bytes: number
  job: string | null
  problem: string | null
}

/** A direction in a model that has a name. other: what the negative end is called. */
export interface Slider {
  name: string
  other: string
  low: number
  high: number
  found_as: string
}

/** What a run's model can be asked to draw. layers: of the codes that sliders move. */
export interface Drawing {
  knobs: Schema
  sliders: Slider[]
  layers: number
  source: boolean
  labels: string[]
  text: boolean
  step: number
  notes: string[]
}

export interface RunDetail extends Run {
  preset: string | null
  config: Record<string, unknown>
  seed: number
  reasons: string[]
  samples: { seen: number; url: string }[]
  sliders: Slider[]
  knobs: Schema | null
  layers: number
  source: boolean
  measures: Record<string, unknown> | null
  /** What its data said when it was trained; null where nothing was noted. */
  rights: (Rights & { count: number }) | null
  data: { name?: string; fingerprint?: string; count?: number; held_out?: number }
  engine: { device?: string; precision?: string; threads?: number }
}

export interface RunLine {
  step: number
  seen: number
  [figure: string]: number | string | null
}
