/** What a new training is begun with, out of another one. */

import type { Family, Options, RunDetail } from '$lib/types'

let kept: Options | null = null

/** Keep the options of a job for the form that is shown next. */
export function keepSettings(options: Options): void {
  kept = options
}
export function takeSettings(): Options | null {
  const taken = kept
  kept = null
  return taken
}

/** The choices of a family where they differ from its defaults with a preset, as the list of "name=value". */
export function choicesOf(run: RunDetail, family: Family | undefined): string[] {
  if (!family) return []
  const preset = family.presets[run.preset ?? ''] ?? {}
  const out: string[] = []
  for (const [name, property] of Object.entries(family.config.properties ?? {})) {
    const usual = name in preset ? preset[name] : property.default
    const value = run.config[name]
    if (value === undefined || JSON.stringify(value) === JSON.stringify(usual)) continue
    out.push(`${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  }
  return out
}

/** A run's choices as options of the task, for the form. */
export function optionsOf(run: RunDetail, family: Family | undefined): Options {
  const set = choicesOf(run, family)
  return {
    dataset: run.data.name ?? run.name, family: run.family, preset: run.preset ?? '',
    ...(run.seed ? { seed: run.seed } : {}), ...(set.length ? { set } : {}),
    ...(run.width && run.height ? { size: run.width === run.height ? String(run.width) : `${run.width}x${run.height}` } : {}),
    ...(run.data.held_out ? { hold_out: run.data.held_out } : {}),
    ...(run.minutes_spent ? { minutes: Math.max(1, Math.round(run.minutes_spent)) } : {}),
  }
}
