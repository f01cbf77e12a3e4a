/** Messages of live drawing: WS /api/live/explore/{number} and /api/live/paint/{dataset}. */

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

export interface FrameHeader {
  id: number
  width: number
  height: number
  kind: 'rgba' | 'webp'
  ms: number
  done?: number
  seeds?: number[]
  /** Of each cell of a map around a seed. */
  mix?: [seed: number, weight: number][][]
  cell?: [number, number]
  columns?: number
}
