/** Dark or light: the system's until it is chosen here. theme.js sets it before the first paint. */

const KEY = 'gesso.theme'
const system = matchMedia('(prefers-color-scheme: dark)')

class Theme {
  dark = $state(document.documentElement.dataset.theme === 'dark')

  constructor() {
    system.addEventListener('change', () => !kept() && this.#show(system.matches))
  }

  toggle(): void {
    this.#show(!this.dark)
    try {
      localStorage.setItem(KEY, this.dark ? 'dark' : 'light')
    } catch {
      /* a private window keeps nothing */
    }
  }

  #show(dark: boolean): void {
    this.dark = dark
    document.documentElement.dataset.theme = dark ? 'dark' : 'light'
  }
}

function kept(): string | null {
  try {
    return localStorage.getItem(KEY)
  } catch {
    return null
  }
}

export const theme = new Theme()
