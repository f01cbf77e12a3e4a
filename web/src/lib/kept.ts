/** Small values that this browser keeps, or this tab alone. A private window may keep nothing: then nothing is found. */

const place = (tab: boolean) => (tab ? sessionStorage : localStorage)

export function kept(name: string, { tab = false } = {}): string | null {
  try {
    return place(tab).getItem(`gesso.${name}`)
  } catch {
    return null
  }
}

export function keep(name: string, value: string, { tab = false } = {}): void {
  try {
    place(tab).setItem(`gesso.${name}`, value)
  } catch {
    /* full, or a private window */
  }
}
