// The workbench of the person signed in; kept fresh on every page, because
// the bell listens to it.
import { defineStore } from 'pinia'
import { ref } from 'vue'
import { api, sentence } from '../api'
import { pinia } from '../pinia'
import type { Workbench } from '../types'
import { useBell } from './bell'

const define = defineStore('workbench', () => {
  const bench = ref<Workbench | null>(null)
  const problem = ref('')
  /** tick grows with every round of live changes; views reload on it. */
  const tick = ref(0)

  async function load() {
    try {
      bench.value = await api.get('/workbench')
      problem.value = ''
      useBell().take(bench.value)
    } catch (e) {
      problem.value = sentence(e)
    }
  }
  return { bench, problem, tick, load }
})
export const useWorkbench = () => define(pinia)
