/** What the studio's API takes and gives. Times are ISO strings, sizes bytes, durations seconds. */

import type { Picture } from './types/gallery'
import type { Job, Preview, Progress, Queue } from './types/jobs'

export type * from './types/datasets'
export type * from './types/gallery'
export type * from './types/jobs'
export type * from './types/live'
export type * from './types/marks'
export type * from './types/runs'
export type * from './types/tasks'

export interface About {
  version: string
  home: string
  free_bytes: number
  used_bytes: number
  cores: number
  tasks: number
  boot: string
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
