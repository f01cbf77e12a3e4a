/** Works that were asked for, and the queue in which they wait. */

import type { Options } from './tasks'

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
