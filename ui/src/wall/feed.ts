// What the box says, kept fresh: a snapshot at the start, again at once for
// an alarm, at most once a second for other changes, and every fifteen
// seconds in any case because figures age by themselves.
import { computed, onBeforeUnmount, onMounted, ref, shallowReactive, watch } from 'vue'
import { ApiError, sentence } from '../shared/api'
import { backoff, connected, follow, serverNow, setServerTime, startClock } from '../shared/live'
import { getOutlines, getSnapshot, sendBeat, type Beat, type Snapshot } from './net'

export type { Snapshot } from './net'
export type WallAlarm = Snapshot['alarms'][number]

export const period = 15_000 // ms between snapshots when nothing happens
const patience = 10_000 // ms for an answer; a dead line must not hold the wall
const quiet = 1000 // ms between snapshots for changes that are no alarm

export type Freshness = 'fresh' | 'late' | 'stale' | 'cut'
/** freshnessOf says how far figures of an age in ms may be trusted: late
 *  after 30 s, grey after three periods, cut off after a minute. */
export function freshnessOf(age: number): Freshness {
  if (age < 30_000) return 'fresh'
  if (age < 3 * period) return 'late'
  return age < 60_000 ? 'stale' : 'cut'
}

/** waitFor gives the ms until the next snapshot may be asked for. */
export const waitFor = (alarm: boolean, sinceLast: number) => (alarm ? 0 : Math.max(0, quiet - sinceLast))

/** merge takes over what differs and keeps the rest, so that panels whose
 *  figures stand are not drawn again. */
export function merge<T extends object>(target: Partial<T>, next: T) {
  for (const key of Object.keys(next) as (keyof T)[]) {
    if (JSON.stringify(target[key]) !== JSON.stringify(next[key])) target[key] = next[key]
  }
}

export function useFeed() {
  const data = shallowReactive<Partial<Snapshot>>({})
  const refused = ref(false)
  const problem = ref('')
  let stop: (() => void) | null = null
  let timer = 0
  let due = Infinity
  let tries = 0
  let began = -Infinity
  let loading = false

  function schedule(ms: number) {
    const at = performance.now() + ms
    if (at >= due) return
    due = at
    clearTimeout(timer)
    timer = window.setTimeout(load, ms)
  }
  async function load() {
    due = Infinity
    if (loading) return schedule(100) // the answer under way may be too old
    loading = true
    began = performance.now()
    const abort = new AbortController()
    const limit = window.setTimeout(() => abort.abort(), patience)
    let pause = period
    try {
      take(await getSnapshot(abort.signal))
      if (!connected.value) listen()
      tries = 0
    } catch (e) {
      fail(e)
      pause = Math.min(period, backoff(tries++))
    }
    clearTimeout(limit)
    loading = false
    schedule(pause)
  }
  function take(next: Snapshot) {
    // A wall that outlives an upgrade takes the new pages by itself.
    if (data.box && next.box.version !== data.box.version) location.reload()
    setServerTime(next.server_time)
    merge(data, next)
    refused.value = false
    problem.value = ''
  }
  function fail(e: unknown) {
    problem.value = sentence(e)
    if (!(e instanceof ApiError) || ![401, 403].includes(e.problem.status)) return
    refused.value = true // a display whose right was taken away shows nothing any more
    for (const key of Object.keys(data) as (keyof Snapshot)[]) delete data[key]
  }
  function listen() {
    stop?.()
    stop = follow('/api/v1/wall/events', (_, kind) => schedule(waitFor(kind === 'alarm', performance.now() - began)), load)
  }
  watch(connected, (now) => { if (!now) schedule(quiet) }) // a line that ends may be a right that ended

  onMounted(() => {
    startClock()
    void load()
  })
  onBeforeUnmount(() => {
    stop?.()
    clearTimeout(timer)
  })
  const age = computed(() => (data.as_of ? Math.max(0, serverNow.value - data.as_of) : 0))
  return { data, refused, problem, age, freshness: computed(() => freshnessOf(age.value)) }
}

/** useBeat tells the box every minute that this wall stands, how fast it
 *  draws and whether it can be heard. */
export function useBeat(report: () => Omit<Beat, 'fps' | 'heap'>) {
  let timer = 0
  async function beat() {
    timer = window.setTimeout(beat, 60_000)
    const heap = (performance as unknown as { memory?: { usedJSHeapSize: number } }).memory?.usedJSHeapSize ?? 0
    await sendBeat({ ...report(), heap, fps: await framesPerSecond() }).catch(() => undefined) // the box notices a missing beat itself
  }
  onMounted(() => { timer = window.setTimeout(beat, 1000) })
  onBeforeUnmount(() => clearTimeout(timer))
}

/** framesPerSecond counts the frames of one second. */
function framesPerSecond(): Promise<number> {
  return new Promise((done) => {
    const end = performance.now() + 1000
    let n = 0
    const frame = () => {
      n++
      if (performance.now() < end) requestAnimationFrame(frame)
      else done(n)
    }
    requestAnimationFrame(frame)
  })
}

/** useOutlines keeps the imported outlines in step with their version. */
export function useOutlines(version: () => string | undefined) {
  const outlines = ref<object | null>(null)
  watch(version, async (v) => {
    if (!v) outlines.value = null
    else outlines.value = await getOutlines().catch(() => outlines.value)
  }, { immediate: true })
  return outlines
}
