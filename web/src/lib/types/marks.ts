/** Where files are from, and what marks pictures get here. */

import type { Answer } from './datasets'

export type Verdict = 'trusted' | 'valid' | 'changed' | 'marked' | 'unmarked' | 'unreadable'

export interface Credentials {
  state: 'none' | 'valid' | 'trusted' | 'invalid' | 'unreadable'
  signer: string
  at: string
  generator: string
  problems: string[]
  parents: string[]
  assertions: Record<string, unknown>
}

export interface Aigc {
  Label: '1' | '2' | '3'
  ContentProducer: string
  ProduceID: string
}

/** The terms of a model's pictures, in short. */
export interface Terms {
  commercial: Answer
  derivatives: Answer
  attribution: boolean
  share_alike: string[]
  conflict?: boolean
  conflicts?: string[]
}

/** All that is known of a file. machine: by whose word a machine made it. written: it is the very file of the ledger. */
export interface Verified {
  name: string
  verdict: Verdict
  credentials: Credentials
  machine: 'signed' | 'said' | ''
  source: string | null
  aigc: Aigc[]
  recipe: null | (Record<string, unknown> & { task: string; seed: number; run?: string; step?: number; inputs?: Record<string, string>; rights?: Terms })
  settings: null | { tool: string; seed: number | null; model: string | null; text: string }
  watermark: string | null
  looked: boolean
  ledger: null | { at: string; task: string; signed: string | null }
  written: boolean
  notes: string[]
  words: string[]
}

/** What came of making a picture again. identical: null where it could not be made. */
export interface Replayed {
  identical: boolean | null
  words: string
  largest: number
  share: number
}

export type Profile = 'none' | 'eu' | 'cn'
export type Corner = 'top-left' | 'top-right' | 'bottom-left' | 'bottom-right' | 'bottom'

export interface MarkChoices {
  profile: Profile
  text: string | null
  corner: Corner
  producer: string
  creator: string
  rights: string
  credentials: boolean
  watermark: boolean
  ledger: boolean
  keep_days: number
}

/** words: of the visible label by profile; producer: whom the AIGC label names as things are. */
export interface Marks {
  choices: MarkChoices
  files: Record<'key' | 'certificate' | 'anchors', boolean>
  words: Record<Profile, string>
  producer: string
  identity: null | { name: string; algorithm: string; print: string; until: string; own: boolean }
  problem: null | { problem: string; remedy: string }
}
