/** What can be asked for: tasks, families of models, and the forms that are made of them. */

/** A file that a task takes: of the gallery, of an upload, or the source of an import. */
export type Ref = `picture:${string}` | `upload:${string}` | `stage:${string}`

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
