import { createApp } from 'vue'
import { createRouter, createWebHistory } from 'vue-router'
import '../shared/base.css'
import './theme.css'
import { i18n, languageReady } from '../shared/i18n'
import { pinia } from '../shared/pinia'
import App from './App.vue'
import { routes } from './routes'

const router = createRouter({ history: createWebHistory('/app'), routes })
void languageReady.then(() => createApp(App).use(pinia).use(i18n).use(router).mount('#app'))
