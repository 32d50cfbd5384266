// What hardly changes while a page is open: catalogue, organisations,
// colleagues; and the choices that fields offer from them.
import { defineStore } from 'pinia'
import { computed, shallowRef, toRaw } from 'vue'
import { api } from '../api'
import { lang } from '../i18n'
import { pinia } from '../pinia'
import type { Catalogue, Field, Kind, Option, Organisation, Person } from '../types'

export interface Choice {
  value: string
  text: string
  hint?: string
  pinyin?: string
  initials?: string
}
export const optionText = (o: Option) => (lang.value === 'en' ? o.en : o.zh)

/** fieldsOf lists every field of a kind, those of groups, steps and documents too. */
function fieldsOf(k: Kind): Field[] {
  const whole = (list: Field[] = []): Field[] => list.flatMap((f) => [f, ...whole(f.fields)])
  return [k, ...(k.documents ?? [])].flatMap((x) => whole(x.fields)).concat(k.steps.flatMap((s) => whole(s.inputs)))
}

const define = defineStore('reference', () => {
  const catalogue = shallowRef<Catalogue | null>(null)
  const organisations = shallowRef<Organisation[]>([])
  const people = shallowRef<Person[]>([])

  async function loadCatalogue() {
    catalogue.value = (await api.get('/catalogue')) as Catalogue
  }
  async function loadOrganisations() {
    organisations.value = (await api.get('/organisations')).items
  }
  async function load(withPeople: boolean) {
    await Promise.all([
      loadCatalogue(),
      loadOrganisations(),
      withPeople && api.get('/people').then((p) => { people.value = p.items }),
    ])
  }

  const kind = (id: string): Kind | undefined => catalogue.value?.kinds.find((k) => k.id === id)
  const table = (id: string | undefined): Option[] => (id && catalogue.value?.tables[id]) || []
  // Two kinds may bring tables of the same name: a field finds its own kind's first.
  const kindOf = computed(() => new Map((catalogue.value?.kinds ?? []).flatMap((k) => fieldsOf(k).map((f) => [f, k] as const))))
  const codes = (f: Field): Option[] => kindOf.value.get(toRaw(f))?.tables?.find((x) => x.id === f.table)?.codes ?? table(f.table)
  const orgName = (code: string) => organisations.value.find((o) => o.code === code)?.name ?? code

  function orgChoices(levels?: string[]): Choice[] {
    return organisations.value
      .filter((o) => !levels || levels.includes(o.level))
      .map((o) => ({ value: o.code, text: o.name, hint: o.code, pinyin: o.pinyin, initials: o.initials }))
  }
  function choices(f: Field): Choice[] {
    if (f.type === 'org' || f.type === 'orgs') return orgChoices()
    if (f.type === 'account' || f.table === 'accounts') {
      return people.value.map((p) => ({ value: p.id, text: p.name, hint: orgName(p.organisation), pinyin: p.pinyin, initials: p.initials }))
    }
    return codes(f).map((o) => ({ value: o.code, text: optionText(o), pinyin: o.pinyin, initials: o.initials }))
  }
  return { catalogue, organisations, people, load, loadCatalogue, loadOrganisations, kind, table, orgName, orgChoices, choices }
})
export const useReference = () => define(pinia)

/** matches finds a choice by its characters, pinyin or initials. */
export function matches(c: Choice, typed: string): boolean {
  const q = typed.trim().toLowerCase().replace(/\s+/g, '')
  if (!q) return true
  const pinyin = (c.pinyin ?? '').toLowerCase().replace(/\s+/g, '')
  return c.text.toLowerCase().includes(q) || (c.initials ?? '').toLowerCase().includes(q) || pinyin.startsWith(q) || c.value.startsWith(q)
}

/** defaults of fields, for a new form. */
export function defaults(fields: Field[]): Record<string, unknown> {
  return Object.fromEntries(fields.filter((f) => f.default).map((f) => [f.key, f.default]))
}
