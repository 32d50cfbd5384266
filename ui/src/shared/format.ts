// Times are shown in the country's one zone, whatever zone this PC is set to.
const zone = 8 * 3600_000
const two = (n: number) => String(n).padStart(2, '0')

/** dateTime gives 2026-11-23 14:05 for milliseconds since 1970. */
export function dateTime(ms: number): string {
  const d = new Date(ms + zone)
  return `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`
}
export const date = (ms: number) => dateTime(ms).slice(0, 10)
export const shortTime = (ms: number) => dateTime(ms).slice(5)
export const hourMinute = (ms: number) => dateTime(ms).slice(11)

/** inputTime is the value of a datetime-local input; fromInputTime reads it. */
export const inputTime = (ms: number) => dateTime(ms).replace(' ', 'T')
export const fromInputTime = (s: string): number | undefined => (s ? Date.parse(`${s}:00+08:00`) : undefined)

/** size gives bytes in the largest unit that keeps the number readable. */
export function size(bytes: number): string {
  const units: [number, string, number][] = [[2 ** 30, 'GB', 1], [2 ** 20, 'MB', 1], [2 ** 10, 'KB', 0]]
  const unit = units.find(([n]) => bytes >= n)
  return unit ? `${(bytes / unit[0]).toFixed(unit[2])} ${unit[1]}` : `${bytes} B`
}
