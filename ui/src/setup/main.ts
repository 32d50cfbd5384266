import { createApp } from 'vue'
import '../shared/base.css'
import Setup from './Setup.vue'

createApp(Setup).mount('#app')
