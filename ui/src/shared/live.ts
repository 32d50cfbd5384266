// Server time and live changes. The clock on screen is the server's: its
// time plus what has passed here since, never the wall clock of this PC.
import { ref } from 'vue'

export const serverNow = ref(Date.now())
let base = Date.now()
let at = performance.now()

export function setServerTime(ms: number) {
  base = ms
  at = performance.now()
  serverNow.value = ms
}
export const now = () => base + (performance.now() - at)

let ticking = 0
export function startClock() {
  ticking ||= window.setInterval(() => { serverNow.value = now() }, 1000)
}

export interface LiveEvent {
  n: number
  id?: string
  kind: string
  new?: boolean
}
/** silence is how many seconds ago the stream gave its last byte. */
export const silence = ref(0)
export const connected = ref(false)

const pauses = [1, 2, 4, 8, 15, 30]
/** backoff gives the pause before try n, in ms, with a fifth of jitter. */
export function backoff(n: number, random = Math.random): number {
  return pauses[Math.min(n, pauses.length - 1)] * 1000 * (0.8 + random() * 0.4)
}

/** follow listens to a stream until the returned function is called. */
export function follow(path: string, onEvent: (e: LiveEvent, kind: 'change' | 'alarm') => void, onReset: () => void): () => void {
  let source: EventSource | null = null
  let tries = 0
  let timer = 0
  let last = performance.now()
  let closed = false

  const read = (m: Event) => {
    last = performance.now()
    silence.value = 0
    connected.value = true
    return JSON.parse((m as MessageEvent).data)
  }
  const open = () => {
    source = new EventSource(path)
    source.addEventListener('hello', (m) => {
      setServerTime(read(m).server_time)
      if (tries > 0) onReset() // what was missed while away
      tries = 0
    })
    source.addEventListener('ping', (m) => setServerTime(read(m).server_time))
    source.addEventListener('reset', () => { last = performance.now(); onReset() })
    source.addEventListener('change', (m) => onEvent(read(m), 'change'))
    source.addEventListener('alarm', (m) => onEvent(read(m), 'alarm'))
    source.onerror = () => {
      connected.value = false
      source?.close()
      if (!closed) timer = window.setTimeout(open, backoff(tries++))
    }
  }
  open()
  const watch = window.setInterval(() => { silence.value = Math.round((performance.now() - last) / 1000) }, 1000)
  return () => {
    closed = true
    source?.close()
    clearTimeout(timer)
    clearInterval(watch)
  }
}

let audio: AudioContext | null = null
/** audioRuns reports whether this page may be heard; browsers want a click
 *  first unless they were started as a kiosk. */
export async function audioRuns(): Promise<boolean> {
  try {
    audio ??= new AudioContext()
    if (audio.state !== 'running') await Promise.race([audio.resume(), new Promise((r) => setTimeout(r, 300))])
    return audio.state === 'running'
  } catch {
    return false // no sound device, or none allowed: shown as such
  }
}

/** ring plays the pattern of a level; false when the browser blocks sound. */
export async function ring(level: number): Promise<boolean> {
  if (!(await audioRuns()) || !audio) return false
  const tones = level === 1 ? [880, 660, 880] : level === 2 ? [660] : [520]
  for (const [i, frequency] of tones.entries()) {
    const o = audio.createOscillator()
    const g = audio.createGain()
    o.frequency.value = frequency
    g.gain.value = 0.2
    o.connect(g).connect(audio.destination)
    o.start(audio.currentTime + i * 0.35)
    o.stop(audio.currentTime + i * 0.35 + 0.28)
  }
  return true
}
