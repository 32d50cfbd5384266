import { createApp } from 'vue'
import '../shared/base.css'
import './phone.css'
import { i18n, languageReady } from '../shared/i18n'
import { pinia } from '../shared/pinia'
import PhoneApp from './PhoneApp.vue'

void languageReady.then(() => createApp(PhoneApp).use(pinia).use(i18n).mount('#app'))
