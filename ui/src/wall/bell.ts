// When alarms are heard. Only the two highest levels make a noise.
import { onBeforeUnmount, ref, watch } from 'vue'
import { audioRuns, ring } from '../shared/live'
import type { WallAlarm } from './feed'

export const loudOf = (alarms: WallAlarm[]) => alarms.filter((a) => a.level <= 2)
/** More than ten at once are a flood: one card, and at most one sound a
 *  minute. */
export const isFlood = (raised: number) => raised > 10

/** repeatAfter gives the ms until the sound comes again: an emergency every
 *  10 s until somebody acknowledges it, an urgent alarm every 5 minutes. */
export function repeatAfter(level: number, raised: number): number {
  if (level > 1) return 300_000
  return isFlood(raised) ? 60_000 : 10_000
}

export function useBell(alarms: () => WallAlarm[], raised: () => number) {
  const audible = ref(true)
  const ringing = ref(false)
  let timer = 0
  let last = -Infinity
  async function sound() {
    clearTimeout(timer)
    const loud = loudOf(alarms())
    ringing.value = loud.length > 0
    if (!loud.length) return
    last = performance.now()
    audible.value = await ring(loud[0].level)
    timer = window.setTimeout(sound, repeatAfter(loud[0].level, raised()))
  }
  async function enable() {
    audible.value = await audioRuns()
    if (audible.value && ringing.value) void sound()
  }
  watch(() => loudOf(alarms()).map((a) => a.id).join(), (ids, before) => {
    const added = ids && ids.split(',').some((id) => !before?.includes(id))
    if (!ids || added && (!isFlood(raised()) || performance.now() - last > 60_000)) void sound()
  }, { immediate: true })
  void enable()
  onBeforeUnmount(() => clearTimeout(timer))
  return { audible, ringing, enable }
}
