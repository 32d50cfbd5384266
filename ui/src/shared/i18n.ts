// Two complete dictionaries; a test compares their keys. English is loaded
// when somebody asks for it.
import { computed } from 'vue'
import { createI18n } from 'vue-i18n'
import zh from './locale/zh'

export * from './format'
export type Key = keyof typeof zh
export type Lang = 'zh' | 'en'

export const i18n = createI18n({
  legacy: false,
  locale: 'zh',
  fallbackLocale: 'zh',
  flatJson: true,
  messages: { zh: { ...zh } } as Record<string, Record<string, string>>,
})
const { global } = i18n

export const lang = computed<Lang>(() => (global.locale.value === 'en' ? 'en' : 'zh'))

export async function setLang(l: Lang): Promise<void> {
  if (l === 'en' && !global.availableLocales.includes('en')) {
    global.setLocaleMessage('en', { ...(await import('./locale/en')).default })
  }
  global.locale.value = l
  localStorage.setItem('lang', l)
  document.documentElement.lang = l === 'en' ? 'en' : 'zh-CN'
}
export const otherLang = () => setLang(lang.value === 'en' ? 'zh' : 'en')

/** languageReady resolves when the remembered language is loaded. */
export const languageReady: Promise<void> =
  typeof localStorage !== 'undefined' && localStorage.getItem('lang') === 'en' ? setLang('en') : Promise.resolve()

export const t = (key: Key, values: Record<string, string | number> = {}): string => global.t(key, values)

/** say picks the language of a text that a definition carries. */
export const say = (x: { zh: string; en: string } | undefined): string => (x ? (lang.value === 'en' && x.en) || x.zh : '')
