import { createApp } from 'vue'
import { createRouter, createWebHistory } from 'vue-router'
import '../shared/base.css'
import App from './App.vue'

const router = createRouter({
  history: createWebHistory('/app'),
  routes: [
    { path: '/', component: () => import('./Workbench.vue') },
    { path: '/new/:kind?', component: () => import('./New.vue') },
    { path: '/records', component: () => import('./Records.vue') },
    { path: '/r/:id', component: () => import('./RecordPage.vue') },
    { path: '/search', component: () => import('./SearchPage.vue') },
    { path: '/duty', component: () => import('./Duty.vue') },
    { path: '/import', component: () => import('./Imports.vue') },
    { path: '/admin/:part?', component: () => import('./Admin.vue') },
    { path: '/:rest(.*)', redirect: '/' },
  ],
})
createApp(App).use(router).mount('#app')
