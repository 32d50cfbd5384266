// A year's list of special days laid out as months.
export interface Day {
  day: number
  off: boolean
  /** special: the list says so; otherwise the weekend decides. */
  special: boolean
  name: string
}
export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

/** monthsOf reads lines like "2026-01-01 off 元旦" into weeks from Monday. */
export function monthsOf(year: number, lines: string[]): { month: number; weeks: (Day | null)[][] }[] {
  const special = new Map(lines.map((l) => {
    const [date, kind, ...name] = l.split(' ')
    return [date, { off: kind === 'off', name: name.join(' ') }]
  }))
  return Array.from({ length: 12 }, (_, m) => ({ month: m + 1, weeks: weeksOf(year, m, special) }))
}
function weeksOf(year: number, month: number, special: Map<string, { off: boolean; name: string }>): (Day | null)[][] {
  const days = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  const before = (new Date(Date.UTC(year, month, 1)).getUTCDay() + 6) % 7
  const cells: (Day | null)[] = Array.from({ length: before }, () => null)
  for (let day = 1; day <= days; day++) {
    const date = new Date(Date.UTC(year, month, day))
    const s = special.get(date.toISOString().slice(0, 10))
    const weekend = date.getUTCDay() % 6 === 0
    cells.push({ day, off: s ? s.off : weekend, special: !!s, name: s?.name ?? '' })
  }
  while (cells.length % 7) cells.push(null)
  return Array.from({ length: cells.length / 7 }, (_, i) => cells.slice(i * 7, i * 7 + 7))
}
