import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

const page = (name: string) => new URL(`./${name}.html`, import.meta.url).pathname

export default defineConfig({
  plugins: [vue()],
  build: {
    outDir: 'dist',
    emptyOutDir: false, // index.html stays for builds without Node
    target: ['es2020', 'chrome86', 'firefox78', 'safari14'],
    cssTarget: ['chrome86', 'firefox78', 'safari14'],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: { input: { app: page('app'), wall: page('wall'), m: page('m'), setup: page('setup') } },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8080' } },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'] },
} as never)
