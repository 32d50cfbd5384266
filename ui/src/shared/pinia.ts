// One store root for every page; stores are used outside components too.
import { createPinia } from 'pinia'

export const pinia = createPinia()
