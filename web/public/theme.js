// Before the first paint: the theme and the language that were chosen here last.
;(function () {
  var kept = {}
  try {
    kept = { theme: localStorage.getItem('gesso.theme'), language: localStorage.getItem('gesso.language') }
  } catch (_) {}
  var dark = kept.theme ? kept.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
  var language = kept.language || navigator.language
  document.documentElement.lang = /^zh/i.test(language) ? 'zh-CN' : 'en'
})()
