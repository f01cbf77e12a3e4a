/** Keys by which pictures are looked at, in every mode. */

import { shortcuts } from '$lib/shortcuts.svelte'
import type { View } from './view.svelte'

export function zoomKeys(view: View): () => void {
  const scope = 'canvas.title' as const
  return shortcuts.add(
    { keys: '+', label: 'canvas.zoomIn', scope, run: () => view.zoom(1.4) },
    { keys: '=', label: 'canvas.zoomIn', scope, run: () => view.zoom(1.4) },
    { keys: '-', label: 'canvas.zoomOut', scope, run: () => view.zoom(1 / 1.4) },
    { keys: '0', label: 'canvas.zoomFit', scope, run: () => view.fit() },
    { keys: '1', label: 'canvas.zoomOne', scope, run: () => view.one() },
  )
}
