/** Data sets, their pictures, and what is changed of them. */

export interface Rights {
  licences: Record<string, number>
  creators: string[]
  consent: number
  commercial: Answer
  derivatives: Answer
  attribution: boolean
  share_alike: string[]
  conflicts: string[]
  unknown: number
  verdict: string
  reasons: string[]
}

export type Answer = 'yes' | 'no' | 'unknown'

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
