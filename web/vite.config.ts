import { svelte } from '@sveltejs/vite-plugin-svelte'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const studio = process.env.GESSO_STUDIO ?? 'http://127.0.0.1:7788'

export default defineConfig({
  plugins: [svelte()],
  resolve: {
    alias: [
      { find: /^\$lib\//, replacement: `${at('./src/lib')}/` },
      { find: /^\$ui\//, replacement: `${at('./src/lib/ui')}/` },
      { find: /^\$ui$/, replacement: at('./src/lib/ui/index.ts') },
    ],
  },
  build: {
    outDir: at('../src/gesso/studio/static'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // the content security policy takes no data: but for pictures
    modulePreload: { polyfill: false },
  },
  server: {
    host: '127.0.0.1', // where the studio's cookie counts, too
    // The studio answers only under its own name, so Host and Origin are made its own.
    proxy: {
      '/api': {
        target: studio, ws: true, changeOrigin: true,
        configure: (proxy) => {
          proxy.on('proxyReq', (request) => request.setHeader('origin', studio))
          proxy.on('proxyReqWs', (request) => request.setHeader('origin', studio))
        },
      },
    },
  },
})
