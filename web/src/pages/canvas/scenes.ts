/** Scenes: the one to begin with, and those out of files. */

import { ApiError } from '$lib/api'
import { t } from '$lib/i18n.svelte'
import { PRESETS, sizeOf, type Scene } from './placing'

export const firstScene = (): Scene => ({
  size: '1080x1080',
  layers: [
    { kind: 'colour', id: t('canvas.ground'), gradient: ['#fbe3d0', '#f2a98c'], angle: 100 },
    { kind: 'text', id: t('canvas.textName'), text: t('canvas.headline'), size: '11%', width: '80%', height: '30%', y: '30%', colour: '#3a1a1a' },
  ],
  formats: { square: {}, story: {}, link: {} },
})

/** Throws an ApiError for what is no scene. */
export function readScene(text: string): Scene {
  let found: Partial<Scene> | null = null
  try {
    found = JSON.parse(text)
  } catch {
    /* told below */
  }
  if (!found || typeof found !== 'object' || !Array.isArray(found.layers) || !found.layers.length || !found.layers.every((one) => one && typeof one === 'object' && 'kind' in one)) {
    throw new ApiError(t('canvas.noScene'), t('canvas.noSceneHelp'))
  }
  const used = new Set<string>()
  const layers = found.layers.map((one, at) => {
    let id = one.id || `${one.kind} ${at + 1}`
    while (used.has(id)) id += '’'
    used.add(id)
    return { ...one, id }
  })
  const given = Object.entries(Array.isArray(found.formats) ? {} : (found.formats ?? {})).map(([name, format]) => [name, format ?? {}])
  const formats: Scene['formats'] = given.length ? Object.fromEntries(given) : { square: {} }
  const [name] = Object.keys(formats)
  const size = [found.size, formats[name].size, PRESETS[name]].find((one) => typeof one === 'string' && sizeOf(one)) ?? '1080x1080'
  return { ...found, layers, formats, size } as Scene
}
