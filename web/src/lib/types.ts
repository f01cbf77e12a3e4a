/** What the studio's API takes and gives. Times are ISO strings, sizes bytes, durations seconds. */

/** A file that a task takes: of the gallery, of an upload, or the source of an import. */
export type Ref = `picture:${string}` | `upload:${string}` | `stage:${string}`

export interface About {
  version: string
  home: string
  free_bytes: number
  used_bytes: number
  cores: number
  tasks: number
  boot: string
}

/** What a field of a task's form holds. */
export type Kind =
  | 'text' | 'number' | 'switch' | 'choice' | 'words' | 'run' | 'runs' | 'dataset' | 'picture' | 'pictures' | 'mask'
  | 'file' | 'seeds' | 'seed' | 'size' | 'settings' | 'slides' | 'stage' | 'scene' | 'folder' | 'family'

/** One property of a JSON schema as pydantic writes it. */
export interface Property {
  type?: string | string[]
  title?: string
  description?: string
  default?: unknown
  enum?: (string | number)[]
  const?: unknown
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  maxItems?: number
  pattern?: string
  items?: Property
  anyOf?: Property[]
  kind?: Kind
  main?: boolean
}

export interface Schema {
  type?: string
  title?: string
  description?: string
  properties?: Record<string, Property>
  required?: string[]
}

export interface Task {
  name: string
  group: string
  summary: string
  long: boolean
  example: string
  resumable: boolean
  schema: Schema
}

export interface Family {
  name: string
  summary: string
  needs: string[]
  takes: string[]
  presets: Record<string, Record<string, unknown>>
  config: Schema
  knobs: Schema
  paper: string
  sizes: unknown
}

export type Options = Record<string, unknown>

export type Status = 'waiting' | 'running' | 'paused' | 'done' | 'failed' | 'cancelled'

export interface Progress {
  done: number
  total: number | null
  unit: string
  left: number | null
  facts: Record<string, number>
}

export interface Preview {
  url: string
  title: string
  at: string
}

export interface JobFile {
  name: string
  url: string
  bytes: number
}

export interface Job {
  id: string
  task: string
  title: string
  options: Options
  status: Status
  wish: null | 'pause' | 'cancel'
  long: boolean
  priority: number
  place: number
  created: string
  started: string | null
  ended: string | null
  tries: number
  progress: Progress | null
  preview: Preview | null
  message: string
  result: null | { text: string; pictures: string[]; files: JobFile[]; facts: Record<string, unknown> }
  error: null | { problem: string; remedy: string }
  run: string | null
  resumable: boolean
}

export interface LogLine {
  at: string
  level: 'info' | 'good' | 'warning' | 'error'
  text: string
}

export interface Queue {
  paused: boolean
  running: number
  waiting: number
  free_bytes: number
  used_bytes: { datasets: number; runs: number; gallery: number; studio: number }
}

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

export interface Rights {
  licences: Record<string, number>
  creators: string[]
  consent: number
}

export interface Dataset {
  name: string
  count: number
  width: number
  height: number
  channels: number
  labels: string[]
  captions: number
  pairs: unknown
  fingerprint: string
  created: string
  bytes: number
  rights: Rights
  palette: string[]
  cover: string[]
  problem: string | null
}

export interface DatasetDetail extends Dataset {
  report: Partial<{
    accepted: number
    rejected: number
    marked: number
    marked_but_used: number
    blank_tiles: number
    duplicates: number
    duplicates_dropped: number
    dropped_by_hand: number
    /** How, and how many. */
    converted: Record<string, number>
    /** Why, and how many were left out. */
    reasons: Record<string, number>
  }>
  rejected: { source: string; reason: string }[]
}

export interface DatasetPicture {
  index: number
  label: string | null
  text: string | null
  source: string
  licence: string
  creator: string
  consent: string
  width: number
  height: number
  url: string
}

export interface DatasetPage {
  total: number
  fingerprint: string
  pictures: DatasetPicture[]
}

export type Said = Pick<DatasetPicture, 'label' | 'text' | 'licence' | 'creator' | 'consent'>
export type Box = [left: number, top: number, width: number, height: number]

/** Of pictures by the numbers that were read. set: what is left out stays, '' takes away. box: in shares 0..1. */
export type Edit =
  | ({ kind: 'set'; pictures: number[] } & Partial<{ [K in keyof Said]: string }>)
  | { kind: 'drop'; pictures: number[] }
  | { kind: 'crop'; pictures: number[]; box: Box }

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
  data: { name?: string; fingerprint?: string; count?: number; held_out?: number }
  engine: { device?: string; precision?: string; threads?: number }
}

export interface RunLine {
  step: number
  seen: number
  [figure: string]: number | string | null
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

/** What is told as it happens; see events.ts. `reset` means: what is shown may be old, fetch it again. */
export interface Events {
  job: Job
  progress: { id: string; progress: Progress }
  preview: { id: string; preview: Preview }
  gone: { kind: 'job' | 'picture' | 'board' | 'dataset' | 'run'; id: string }
  picture: Picture
  boards: Record<string, never>
  datasets: Record<string, never>
  runs: Record<string, never>
  queue: Partial<Queue>
  reset: Record<string, never>
}

/** Messages of WS /api/live/explore/{number}. */
export interface Draw {
  seed?: number
  label?: string | null
  text?: string | null
  slides?: Record<string, number>
  knobs?: Record<string, unknown>
  mix?: [seed: number, weight: number][] | null
  half?: boolean
  map?: { seeds: number[] | null; around: number | null; change: number }
}

export interface Ready {
  ready: true
  width: number
  height: number
  sliders: Slider[]
  knobs: Record<string, unknown>
  labels: string[]
  exported: boolean
}

export interface FrameHeader {
  id: number
  width: number
  height: number
  kind: 'rgba' | 'webp'
  ms: number
  done?: number
  seeds?: number[]
  cell?: [number, number]
  columns?: number
}
