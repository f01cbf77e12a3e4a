/** Where in the studio one is: the address of the page, no more. Links are plain <a href="/…">. */

export const PAGES = ['pictures', 'train', 'explore', 'canvas', 'gallery', 'verify', 'jobs'] as const
export type Page = (typeof PAGES)[number]

class Router {
  path = $state(location.pathname)
  #search = $state(location.search)

  /** The first part of the address; the pictures where it is none of ours. */
  page = $derived.by<Page>(() => {
    const first = this.path.split('/')[1] as Page
    return PAGES.includes(first) ? first : 'pictures'
  })
  /** The second part, decoded: a name, a number, an id; '' if none. */
  param = $derived.by(() => {
    const second = this.path.split('/')[2] ?? ''
    try {
      return decodeURIComponent(second)
    } catch {
      return second
    }
  })
  query = $derived(new URLSearchParams(this.#search))

  /** Go to an address of the studio. replace: without a step back. */
  go(address: string, { replace = false } = {}): void {
    const to = new URL(address, location.href)
    const same = to.pathname === location.pathname && to.search === location.search
    history[replace || same ? 'replaceState' : 'pushState'](null, '', to)
    this.#read()
    if (!same && !replace) document.querySelector('main')?.scrollTo(0, 0)
  }

  /** Change the query alone; null or '' takes a name out. Not a step back unless push. */
  setQuery(values: Record<string, string | number | null | undefined>, { push = false } = {}): void {
    const query = new URLSearchParams(location.search)
    for (const [name, value] of Object.entries(values)) {
      if (value === null || value === undefined || value === '') query.delete(name)
      else query.set(name, String(value))
    }
    const text = query.toString()
    this.go(location.pathname + (text ? `?${text}` : ''), { replace: !push })
  }

  begin(): void {
    if (location.pathname === '/') this.go('/pictures', { replace: true })
    window.addEventListener('popstate', () => this.#read())
    document.addEventListener('click', (event) => {
      const link = (event.target as Element).closest?.('a')
      if (!link || event.defaultPrevented || event.button) return
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
      if (link.target || link.hasAttribute('download') || link.origin !== location.origin) return
      if (link.getAttribute('href')?.startsWith('#')) return // a place on this page
      if (!PAGES.some((page) => link.pathname === `/${page}` || link.pathname.startsWith(`/${page}/`))) return
      event.preventDefault()
      this.go(link.href)
    })
  }

  #read(): void {
    this.path = location.pathname
    this.#search = location.search
  }
}

export const router = new Router()
