/** Every endpoint of the studio, typed. What fails throws an ApiError with a sentence for the user. */

import type * as T from './types'
import { session } from './session.svelte'

export class ApiError extends Error {
  /** problem: what was wrong; remedy: what to do, may be empty; field: the option it is about; status: 0 if no answer. */
  constructor(
    readonly problem: string,
    readonly remedy = '',
    readonly field: string | null = null,
    readonly status = 0,
  ) {
    super(problem)
  }

  static from(error: unknown): ApiError {
    if (error instanceof ApiError) return error
    return new ApiError(error instanceof Error ? error.message : String(error))
  }
}

type Query = Record<string, string | number | boolean | null | undefined>

/** A path with its query; what is null, undefined, false or '' is left out. */
export function url(path: string, query: Query = {}): string {
  const asked = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === '' || value === false) continue
    asked.set(name, value === true ? '1' : String(value))
  }
  const text = asked.toString()
  return text ? `${path}?${text}` : path
}

interface Ask {
  json?: unknown
  body?: BodyInit
  query?: Query
  signal?: AbortSignal
}

function failed(status: number, text: string): ApiError {
  let told: { problem?: string; remedy?: string; field?: string | null } = {}
  try {
    told = JSON.parse(text)
  } catch {
    /* not from the studio itself */
  }
  if (status === 401) session.signedOut = true
  return new ApiError(told.problem || session.words.answered(status), told.remedy ?? '', told.field ?? null, status)
}

async function ask<R>(method: string, path: string, { json, body, query, signal }: Ask = {}): Promise<R> {
  let answer: Response
  try {
    answer = await fetch(url(path, query), {
      method,
      signal,
      credentials: 'same-origin',
      headers: json === undefined ? undefined : { 'content-type': 'application/json' },
      body: json === undefined ? body : JSON.stringify(json),
    })
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(session.words.unreachable(), session.words.startAgain())
  }
  if (!answer.ok) throw failed(answer.status, await answer.text())
  return (answer.status === 204 ? undefined : await answer.json()) as R
}

const get = <R>(path: string, query?: object, signal?: AbortSignal) => ask<R>('GET', path, { query: query as Query, signal })
const post = <R>(path: string, json: unknown = {}, query?: Query) => ask<R>('POST', path, { json, query })
const part = encodeURIComponent

/** Send a file with progress in shares 0..1. fetch cannot tell how much has left, so this is XMLHttpRequest. */
function send<R>(
  method: string, path: string, file: Blob, onProgress?: (share: number) => void, signal?: AbortSignal,
): Promise<R> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(new DOMException('Aborted', 'AbortError'))
    if (signal?.aborted) return aborted()
    const request = new XMLHttpRequest()
    request.open(method, path)
    request.setRequestHeader('content-type', file.type || 'application/octet-stream')
    request.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded / event.total)
    request.onerror = () => reject(new ApiError(session.words.unreachable(), session.words.startAgain()))
    request.onabort = aborted
    request.onload = () => {
      if (request.status >= 400) return reject(failed(request.status, request.responseText))
      onProgress?.(1)
      resolve((request.responseText ? JSON.parse(request.responseText) : undefined) as R)
    }
    signal?.addEventListener('abort', () => request.abort(), { once: true })
    request.send(file)
  })
}

/** Asked once for each start of the studio; `forget` asks anew. */
function once<R>(fetched: () => Promise<R>) {
  let kept: Promise<R> | null = null
  const asked = () => (kept ??= fetched().catch((error) => ((kept = null), Promise.reject(error))))
  asked.forget = () => void (kept = null)
  return asked
}

export const api = {
  about: () => get<T.About>('/api/about'),
  signIn: (password: string) => post<void>('/api/session', { password }),
  tasks: once(() => get<T.Task[]>('/api/tasks')),
  task: async (name: string) => (await api.tasks()).find((task) => task.name === name),
  families: once(() => get<T.Family[]>('/api/families')),

  /** Ask for a task; the job appears in the jobs store by itself. */
  run: (task: string, options: T.Options, priority = 0) => post<T.Job>(`/api/tasks/${part(task)}`, options, { priority }),

  jobs: {
    list: (query: { status?: string; limit?: number } = {}) => get<{ jobs: T.Job[] }>('/api/jobs', query).then((a) => a.jobs),
    get: (id: string) => get<T.Job>(`/api/jobs/${part(id)}`),
    log: (id: string) => get<{ lines: T.LogLine[] }>(`/api/jobs/${part(id)}/log`).then((a) => a.lines),
    previews: (id: string) =>
      get<{ previews: T.Preview[] }>(`/api/jobs/${part(id)}/previews`).then((a) => a.previews),
    pause: (id: string) => post<T.Job>(`/api/jobs/${part(id)}/pause`),
    resume: (id: string) => post<T.Job>(`/api/jobs/${part(id)}/resume`),
    cancel: (id: string) => post<T.Job>(`/api/jobs/${part(id)}/cancel`),
    retry: (id: string) => post<T.Job>(`/api/jobs/${part(id)}/retry`),
    move: (id: string, before: string | null) => post<T.Job>(`/api/jobs/${part(id)}/move`, { before }),
    priority: (id: string, priority: number) => post<T.Job>(`/api/jobs/${part(id)}/priority`, { priority }),
    forget: (id: string) => ask<void>('DELETE', `/api/jobs/${part(id)}`),
  },

  queue: {
    get: () => get<T.Queue>('/api/queue'),
    pause: () => post<T.Queue>('/api/queue/pause'),
    resume: () => post<T.Queue>('/api/queue/resume'),
  },

  uploads: {
    /** name: with its ending; a Blob's own where it has one. */
    add: (file: Blob, name?: string, onProgress?: (share: number) => void, signal?: AbortSignal) =>
      send<T.Upload>(
        'POST', url('/api/uploads', { name: name ?? (file instanceof File ? file.name : 'picture.png') }), file,
        onProgress, signal,
      ),
  },

  stages: {
    begin: () => post<{ id: string }>('/api/stages'),
    put: (id: string, path: string, file: Blob, onProgress?: (share: number) => void, signal?: AbortSignal) =>
      send<void>('PUT', url(`/api/stages/${part(id)}/files`, { path }), file, onProgress, signal),
    drop: (id: string) => ask<void>('DELETE', `/api/stages/${part(id)}`),
  },

  datasets: {
    list: () => get<T.Dataset[]>('/api/datasets'),
    get: (name: string) => get<T.DatasetDetail>(`/api/datasets/${part(name)}`),
    pictures: (name: string, query: { offset?: number; limit?: number; label?: string; q?: string } = {}, signal?: AbortSignal) =>
      get<T.DatasetPage>(`/api/datasets/${part(name)}/pictures`, query, signal),
    duplicates: (name: string) =>
      get<{ pairs: { a: number; b: number }[] }>(`/api/datasets/${part(name)}/duplicates`).then((a) => a.pairs),
    edit: (name: string, fingerprint: string, edits: T.Edit[]) =>
      ask<T.DatasetDetail>('PATCH', `/api/datasets/${part(name)}`, { json: { fingerprint, edits } }),
    copy: (name: string, to: string) => post<T.DatasetDetail>(`/api/datasets/${part(name)}/copy`, { name: to }),
    drop: (name: string) => ask<void>('DELETE', `/api/datasets/${part(name)}`),
  },

  runs: {
    list: () => get<T.Run[]>('/api/runs'),
    get: (number: number | string) => get<T.RunDetail>(`/api/runs/${part(number)}`),
    log: (number: number | string, after?: number) =>
      get<{ lines: T.RunLine[] }>(`/api/runs/${part(number)}/log`, { after }).then((a) => a.lines),
    /** What its model can be asked to draw; the first answer takes a moment. */
    drawing: (number: number | string) => get<T.Drawing>(`/api/runs/${part(number)}/drawing`),
    drop: (number: number | string) => ask<void>('DELETE', `/api/runs/${part(number)}`),
  },

  pictures: {
    list: (query: T.PictureQuery = {}, signal?: AbortSignal) => get<T.PicturePage>('/api/pictures', query, signal),
    get: (id: string) => get<T.PictureDetail>(`/api/pictures/${part(id)}`),
    change: (id: string, values: { starred?: boolean; note?: string; boards?: string[] }) =>
      ask<T.Picture>('PATCH', `/api/pictures/${part(id)}`, { json: values }),
    drop: (id: string) => ask<void>('DELETE', `/api/pictures/${part(id)}`),
    undelete: (id: string) => post<T.Picture>(`/api/pictures/${part(id)}/undelete`),
    /** The same again, or with another seed; null: a new one. */
    again: (id: string, seed?: number | null) =>
      post<T.Job>(`/api/pictures/${part(id)}/again`, seed === undefined ? {} : { seed }),
    /** What its file says, and what of it holds. watermark: look for one in the pixels, which takes a moment. */
    verify: (id: string, watermark: boolean) =>
      get<T.Verified>(`/api/pictures/${part(id)}/verify`, { watermark: String(watermark) }),
    /** Make it again from its recipe, and compare: the job's facts tell. */
    replay: (id: string) => post<T.Job>(`/api/pictures/${part(id)}/replay`),
    mark: (pictures: string[], values: { starred?: boolean; add?: string; remove?: string }) =>
      post<{ changed: number }>('/api/pictures/mark', { pictures, ...values }),
  },

  boards: {
    list: () => get<T.Board[]>('/api/boards'),
    add: (name: string) => post<T.Board>('/api/boards', { name }),
    rename: (id: string, name: string) => ask<T.Board>('PATCH', `/api/boards/${part(id)}`, { json: { name } }),
    drop: (id: string) => ask<void>('DELETE', `/api/boards/${part(id)}`),
  },

  /** What any file says of where it is from; nothing of it is kept. */
  verify: (file: File, watermark: boolean, onProgress?: (share: number) => void, signal?: AbortSignal) =>
    send<T.Verified>('POST', url('/api/verify', { name: file.name, watermark: String(watermark) }), file, onProgress, signal),

  marks: {
    get: () => get<T.Marks>('/api/marks'),
    change: (choices: Partial<T.MarkChoices>) => ask<T.Marks>('PUT', '/api/marks', { json: choices }),
    /** A small picture with the visible label as it would be drawn. */
    label: async (text: string, corner: T.Corner, signal?: AbortSignal) => {
      const answer = await fetch(url('/api/marks/label', { text, corner }), { signal, credentials: 'same-origin' })
      if (!answer.ok) throw failed(answer.status, await answer.text())
      return answer.blob()
    },
  },

  /** The settings in any picture, of which nothing is kept. */
  recipe: (file: Blob, name: string) =>
    send<{ recipe: T.Recipe | null }>('POST', url('/api/recipes', { name }), file).then((a) => a.recipe),
}

/** References that tasks take where the command line takes files. */
export const ref = {
  picture: (id: string): T.Ref => `picture:${id}`,
  upload: (id: string): T.Ref => `upload:${id}`,
  stage: (id: string): T.Ref => `stage:${id}`,
}

/** A picture of a data set, small: at most `size` pixels a side. */
export const small = (address: string, size = 96) => `${address}${address.includes('?') ? '&' : '?'}size=${size}`

/** Whether a file is one that <video> plays; other films are pictures that move. */
export const video = (name: string) => /\.(mp4|webm)$/i.test(name)

/** Let the browser save a file under a name. */
export function download(address: string, name = ''): void {
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
}
