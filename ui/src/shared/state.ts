// What never changes while a page is open: catalogue, organisations.
import { shallowRef } from 'vue'
import { api, type Catalogue, type Field, type Kind, type Option, type Organisation, type Person } from './api'
import { lang } from './i18n'

export const catalogue = shallowRef<Catalogue | null>(null)
export const organisations = shallowRef<Organisation[]>([])
export const people = shallowRef<Person[]>([])

export async function loadReference(withPeople: boolean) {
  const [c, o] = await Promise.all([api.get<Catalogue>('/catalogue'), api.get<{ items: Organisation[] }>('/organisations')])
  catalogue.value = c
  organisations.value = o.items
  if (withPeople) people.value = (await api.get<{ items: Person[] }>('/people')).items
}

export const kind = (id: string): Kind | undefined => catalogue.value?.kinds.find((k) => k.id === id)
export const table = (id: string | undefined): Option[] => (id && catalogue.value?.tables[id]) || []
export const optionText = (o: Option) => (lang.value === 'en' ? o.en : o.zh)
export const orgName = (code: string) => organisations.value.find((o) => o.code === code)?.name ?? code

export interface Choice { value: string; text: string; hint?: string; pinyin?: string; initials?: string }

export function choices(f: Field): Choice[] {
  if (f.type === 'org' || f.type === 'orgs') return orgChoices()
  if (f.type === 'account' || f.table === 'accounts') return people.value.map((p) => ({ value: p.id, text: p.name, hint: orgName(p.organisation), pinyin: p.pinyin, initials: p.initials }))
  return table(f.table).map((o) => ({ value: o.code, text: optionText(o), pinyin: o.pinyin, initials: o.initials }))
}

export function orgChoices(levels?: string[]): Choice[] {
  return organisations.value.filter((o) => !levels || levels.includes(o.level)).map((o) => ({ value: o.code, text: o.name, pinyin: o.pinyin, initials: o.initials }))
}

/** matches finds a choice by its characters, pinyin or initials. */
export function matches(c: Choice, typed: string): boolean {
  const q = typed.trim().toLowerCase().replace(/\s+/g, '')
  if (!q) return true
  return c.text.toLowerCase().includes(q) || (c.initials ?? '').toLowerCase().includes(q) || (c.pinyin ?? '').toLowerCase().replace(/\s+/g, '').startsWith(q) || c.value.startsWith(q)
}

/** blank paths of a field with its default, for a new form. */
export function defaults(fields: Field[]): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const f of fields) if (f.default) out[f.key] = f.default
  return out
}

/** looks: shape, word and tone of a clock's state; never colour alone. */
export const clockLook: Record<string, { shape: string; tone: string }> = {
  normal: { shape: '○', tone: 'plain' }, due_soon: { shape: '■', tone: 'blue' }, yellow: { shape: '▲', tone: 'amber' }, red: { shape: '●', tone: 'red' },
  paused: { shape: '‖', tone: 'plain' }, stopped: { shape: '✓', tone: 'green' },
}
export const levelLook: Record<number, string> = { 1: '●', 2: '▲', 3: '■', 4: '○' }
