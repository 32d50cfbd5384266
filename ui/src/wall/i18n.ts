import { createI18n } from 'vue-i18n'
import { lang, setLang } from '../shared/i18n'
import en from './locale/en'
import zh from './locale/zh'

export type WallKey = keyof typeof zh
const i18n = createI18n({ legacy: false, flatJson: true, locale: lang.value, fallbackLocale: 'zh', messages: { zh: { ...zh }, en: { ...en } } as Record<string, Record<string, string>> })

/** speak settles the language: an address may name it, since a wall has no
 *  menu. */
export async function speak() {
  const wanted = new URLSearchParams(location.search).get('lang')
  await setLang(wanted === 'en' || wanted === 'zh' ? wanted : lang.value)
  i18n.global.locale.value = lang.value
}

/** t says a string of the wall. Keys that end in a code of the box are put
 *  together, hence any string is taken. */
export const t = (key: WallKey | (string & {}), values: Record<string, string | number> = {}): string => i18n.global.t(key, values)
