// Two complete dictionaries; a test compares their keys.
import { ref } from 'vue'
import en from './locale/en'
import zh from './locale/zh'

export type Key = keyof typeof zh

const saved = typeof localStorage === 'undefined' ? null : localStorage.getItem('lang')
export const lang = ref<'zh' | 'en'>(saved === 'en' ? 'en' : 'zh')

export function setLang(l: 'zh' | 'en') {
  lang.value = l
  localStorage.setItem('lang', l)
  document.documentElement.lang = l === 'en' ? 'en' : 'zh-CN'
}

export function t(key: Key, values: Record<string, string | number> = {}): string {
  let s: string = (lang.value === 'en' ? en : zh)[key]
  for (const [k, v] of Object.entries(values)) s = s.replace(`{${k}}`, String(v))
  return s
}

export const say = (x: { zh: string; en: string } | undefined) => (x ? (lang.value === 'en' ? x.en || x.zh : x.zh) : '')

const zone = 8 * 3600_000 // the country's one zone, whatever the PC thinks
const two = (n: number) => String(n).padStart(2, '0')
export function dateTime(ms: number): string {
  const d = new Date(ms + zone)
  return `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`
}
export const shortTime = (ms: number) => dateTime(ms).slice(5)
export const hourMinute = (ms: number) => dateTime(ms).slice(11)
export function size(n: number): string {
  return n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(0)} KB` : n < 1073741824 ? `${(n / 1048576).toFixed(1)} MB` : `${(n / 1073741824).toFixed(1)} GB`
}
