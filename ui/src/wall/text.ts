// Words about time, in the wall's language.
import { dateTime, hourMinute } from '../shared/i18n'
import { t } from './i18n'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** span says how long something lasts: 45 s, 12 min, 3 h, 2 d 4 h. */
export function span(ms: number): string {
  if (ms < minute) return t('wall.span.s', { n: Math.max(0, Math.floor(ms / 1000)) })
  if (ms < hour) return t('wall.span.m', { n: Math.floor(ms / minute) })
  if (ms < day) return t('wall.span.h', { h: Math.floor(ms / hour) })
  const h = Math.floor((ms % day) / hour)
  return t(h && ms < 10 * day ? 'wall.span.dh' : 'wall.span.d', { d: Math.floor(ms / day), h })
}

const zone = 8 * hour
export const seconds = (ms: number) => new Date(ms + zone).toISOString().slice(11, 19)
export const date = (ms: number) => dateTime(ms).slice(0, 10)
export const weekday = (ms: number) => t('wall.weekday', { day: t(`wall.days.${new Date(ms + zone).getUTCDay()}`) })

/** when says a time of today by the clock, an older one by its date. */
export const when = (ms: number, now: number) => (date(ms) === date(now) ? hourMinute(ms) : dateTime(ms).slice(5))
