/** What the parts are given. */

import type { Ref } from '../types'
import type { IconName } from './icons'

/** A line of a Menu. */
export interface Item {
  label: string
  icon?: IconName
  /** Taken already, as one of several. */
  checked?: boolean
  danger?: boolean
  disabled?: boolean
  /** An address instead of something to do. */
  href?: string
  download?: string
  run?: () => unknown
}

/** A curve of a Chart. */
export interface Series {
  name: string
  points: [x: number, y: number][]
  colour?: string
}

/** A picture that was chosen: what a task takes, and what to show of it. */
export interface Chosen {
  ref: Ref
  url: string
  name: string
  width?: number
  height?: number
}
