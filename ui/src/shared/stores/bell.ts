// What rings at the desk: alarms of the box, which a named person
// acknowledges, and arrivals of my own queue (new, overdue, offered),
// which ring until I have taken note of them.
import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { api } from '../api'
import { ring } from '../live'
import { pinia } from '../pinia'
import type { Alarm, Row, Workbench } from '../types'
import { useSession } from './session'

export type Arrival = 'new' | 'overdue' | 'offered'
export interface Arrived {
  key: string
  why: Arrival
  row: Row
}
const remember = 1000 // keys of arrivals that were taken note of
const alarmPause: Record<number, number> = { 1: 10_000, 2: 300_000 }
const arrivalPause = 60_000

/** arrivals lists what a workbench brings to its reader, most pressing first. */
export function arrivals(bench: Workbench, runsDesk: boolean): Arrived[] {
  const mine = bench.queues.find((q) => q.id === 'mine')?.items ?? []
  const keyed = (why: Arrival, rows: Row[]) => rows.map((row) => ({ key: `${row.id}:${why}`, why, row }))
  const late = (r: Row) => !!r.clock && ['yellow', 'red'].includes(r.clock.state) && r.clock.due_at <= bench.as_of
  return [
    ...keyed('offered', mine.filter((r) => r.badge === 'offered')),
    ...keyed('overdue', mine.filter(late)),
    ...keyed('new', runsDesk ? [...mine, ...bench.incoming.filter((r) => !mine.some((m) => m.id === r.id))] : mine),
  ]
}

const define = defineStore('bell', () => {
  const session = useSession()
  const alarms = ref<Alarm[]>([])
  const waiting = ref<Arrived[]>([])
  /** blocked tells that the browser gives no sound until somebody clicks. */
  const blocked = ref(false)
  let timer = 0
  let rung = ''

  const loud = computed(() => alarms.value.filter((a) => a.state === 'raised' && a.level <= 2))
  const count = (why: Arrival) => waiting.value.filter((a) => a.why === why).length

  const place = () => `bell:${session.session?.user.id}`
  const noted = (): string[] | null => JSON.parse(localStorage.getItem(place()) ?? 'null')
  function note(keys: string[]) {
    localStorage.setItem(place(), JSON.stringify([...new Set([...(noted() ?? []), ...keys])].slice(-remember)))
  }

  async function loadAlarms() {
    alarms.value = (await api.get('/alarms')).items
    sound()
  }
  /** take looks through a fresh workbench. The first look of a person
   *  counts as having seen what was there, but not what is late. */
  function take(bench: Workbench) {
    const all = arrivals(bench, session.runsDesk)
    if (!noted()) note(all.filter((a) => a.why === 'new').map((a) => a.key))
    const known = new Set(noted())
    waiting.value = all.filter((a) => !known.has(a.key))
    sound()
  }
  /** mine keeps what I have just made myself from ringing. */
  const mine = (id: string) => note([`${id}:new`])
  function takeNote() {
    note(waiting.value.map((a) => a.key))
    waiting.value = []
    sound()
  }
  async function acknowledge(a: Alarm) {
    await api.post('/records/{id}/steps/{step}', { path: { id: a.id, step: 'acknowledge' }, body: { seen: a.version } })
    await loadAlarms()
  }

  /** sound plays at once for what has come, then again until it is taken. */
  function sound() {
    const level = loud.value[0]?.level ?? (waiting.value.length ? 3 : 0)
    const now = [...loud.value.map((a) => a.id), ...waiting.value.map((a) => a.key)].sort().join()
    const grown = now.split(',').some((k) => k && !rung.split(',').includes(k))
    rung = now
    clearInterval(timer)
    if (!level) return
    if (grown) void play(level)
    timer = window.setInterval(() => void play(level), alarmPause[level] ?? arrivalPause)
  }
  async function play(level: number) {
    blocked.value = !(await ring(level))
  }
  const enable = () => play(loud.value[0]?.level ?? 3)
  return { alarms, waiting, blocked, loud, count, loadAlarms, take, mine, takeNote, acknowledge, enable }
})
export const useBell = () => define(pinia)
