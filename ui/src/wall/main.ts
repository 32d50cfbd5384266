import { createApp } from 'vue'
import { fitScreen } from './frame'
import { speak } from './i18n'
import Wall from './Wall.vue'
import './wall.css'

fitScreen()
void speak().then(() => createApp(Wall).mount('#app'))
