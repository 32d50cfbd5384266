import { t } from './i18n'

/** offset says how far the box is from its time source; ms is what it lacks. */
export function offset(ms: number, uncertain: number): string {
  const values = { n: (Math.abs(ms) / 1000).toFixed(3), u: (uncertain / 1000).toFixed(3) }
  return ms < 0 ? t('clockset.ahead', values) : t('clockset.behind', values)
}
