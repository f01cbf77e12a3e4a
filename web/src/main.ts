import { mount } from 'svelte'
import './app.css'
import App from './App.svelte'
import { listen } from '$lib/events'
import { i18n } from '$lib/i18n.svelte'
import { jobs } from '$lib/jobs.svelte'
import { router } from '$lib/router.svelte'
import { shortcuts } from '$lib/shortcuts.svelte'

// A page that was open while the studio was replaced by a newer one asks for parts that are gone.
window.addEventListener('vite:preloadError', (event) => {
  const last = Number(sessionStorage.getItem('gesso.reloaded') ?? 0)
  if (Date.now() - last < 10_000) return
  event.preventDefault()
  sessionStorage.setItem('gesso.reloaded', String(Date.now()))
  location.reload()
})

router.begin()
shortcuts.begin()
listen()
jobs.load()
const begun = i18n.begin().catch(() => {}) // without Chinese it begins in English
begun.then(() => mount(App, { target: document.getElementById('app')! }))
