import { createApp } from 'vue'
import '../shared/base.css'
import Phone from './Phone.vue'

createApp(Phone).mount('#app')
