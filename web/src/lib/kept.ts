/** Small values that this browser keeps, or this tab alone. A private window may keep nothing: then nothing is found. */

const place = (tab: boolean) => (tab ? sessionStorage : localStorage)

export function kept(name: string, { tab = false } = {}): string | null {
  try {
    return place(tab).getItem(`gesso.${name}`)
  } catch {
    return null
  }
}

/** Whether it is kept. */
export function keep(name: string, value: string, { tab = false } = {}): boolean {
  try {
    place(tab).setItem(`gesso.${name}`, value)
    return true
  } catch {
    return false // full, or a private window
  }
}
