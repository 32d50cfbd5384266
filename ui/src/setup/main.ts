import { createApp } from 'vue'
import '../shared/base.css'
import '../console/theme.css'
import { i18n, languageReady } from '../shared/i18n'
import { pinia } from '../shared/pinia'
import SetupApp from './SetupApp.vue'

void languageReady.then(() => createApp(SetupApp).use(pinia).use(i18n).mount('#app'))
