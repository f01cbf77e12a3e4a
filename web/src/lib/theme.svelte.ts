/** Dark or light: the system's until it is chosen here. theme.js sets it before the first paint. */

import { keep, kept } from './kept'

const system = matchMedia('(prefers-color-scheme: dark)')

class Theme {
  dark = $state(document.documentElement.dataset.theme === 'dark')

  constructor() {
    system.addEventListener('change', () => !kept('theme') && this.#show(system.matches))
  }

  toggle(): void {
    this.#show(!this.dark)
    keep('theme', this.dark ? 'dark' : 'light')
  }

  #show(dark: boolean): void {
    this.dark = dark
    document.documentElement.dataset.theme = dark ? 'dark' : 'light'
  }
}

export const theme = new Theme()
