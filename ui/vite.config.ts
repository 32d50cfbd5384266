import vue from '@vitejs/plugin-vue'
import { ElementPlusResolver } from 'unplugin-vue-components/resolvers'
import components from 'unplugin-vue-components/vite'
import { defineConfig } from 'vite'

const page = (name: string) => new URL(`./${name}.html`, import.meta.url).pathname

export default defineConfig({
  plugins: [vue(), components({ dirs: [], dts: false, resolvers: [ElementPlusResolver({ importStyle: 'css' })] })],
  define: { __VUE_I18N_LEGACY_API__: false, __VUE_I18N_FULL_INSTALL__: false, __VUE_PROD_DEVTOOLS__: false },
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
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'], server: { deps: { inline: ['element-plus'] } } },
} as never)
