import { createApp } from 'vue'
import Wall from './Wall.vue'

// One unit sets every size: a 1080th of the height, so that the picture is
// the same on every wall of the same shape.
const unit = () => document.documentElement.style.setProperty('--u', `${window.innerHeight / 1080}px`)
unit()
window.addEventListener('resize', unit)
createApp(Wall).mount('#app')
