// Something loaded from the server, with the states that every view shows:
// loading, failed (and whether trying again can help), here.
import { computed, onMounted, ref, watch, type Ref, type WatchSource } from 'vue'
import { ApiError, sentence } from './api'

export function useResource<T>(fetch: () => Promise<T>, again: WatchSource[] = []) {
  const data = ref(null) as Ref<T | null>
  const error = ref<unknown>(null)
  const busy = ref(false)
  const problem = computed(() => (error.value ? sentence(error.value) : ''))
  const trace = computed(() => (error.value instanceof ApiError ? error.value.problem.request_id : ''))
  const forbidden = computed(() => error.value instanceof ApiError && error.value.problem.status === 403)
  let turn = 0

  async function load() {
    const mine = ++turn
    busy.value = true
    try {
      const got = await fetch()
      if (mine !== turn) return // a later load has overtaken this one
      data.value = got
      error.value = null
    } catch (e) {
      if (mine === turn) error.value = e
    } finally {
      if (mine === turn) busy.value = false
    }
  }
  onMounted(load)
  watch(again, load)
  return { data, problem, trace, forbidden, busy, load }
}

/** useTask runs what a person asked for and says what went wrong. */
export function useTask() {
  const busy = ref(false)
  const problem = ref('')
  async function run<T>(f: () => Promise<T>): Promise<T | undefined> {
    if (busy.value) return undefined
    busy.value = true
    problem.value = ''
    try {
      return await f()
    } catch (e) {
      problem.value = sentence(e)
      return undefined
    } finally {
      busy.value = false
    }
  }
  return { busy, problem, run }
}
