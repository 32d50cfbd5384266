// A record's flat fields (parties/0/name) as people read them: single
// facts, groups item by item, and the fields of filed documents.
import { dateTime, say, t } from './i18n'
import type { Field, Kind, Value } from './types'

export interface Fact {
  path: string
  title: string
  text: string
  masked: boolean
  hidden: boolean
  revealable: boolean
}
export interface Facts {
  single: Fact[]
  groups: { key: string; title: string; items: { n: number; facts: Fact[] }[] }[]
  documents: Record<string, Fact[]>
}

/** fieldAt walks a definition along a path. */
export function fieldAt(kind: Kind, path: string): Field | undefined {
  const parts = path.split('/')
  let fields: Field[] | undefined = kind.fields
  if (parts[0] === 'documents') {
    fields = kind.documents?.find((d) => d.id === parts[1])?.fields
    parts.splice(0, 2)
  }
  let found: Field | undefined
  for (const p of parts) {
    if (/^\d+$/.test(p)) continue
    found = fields?.find((f) => f.key === p)
    fields = found?.fields
  }
  return found
}

/** fieldTitle names a path, with the number of its item in a group. */
export function fieldTitle(kind: Kind, path: string): string {
  const parts = path.split('/')
  const own = say(fieldAt(kind, path)?.title) || path
  if (parts[0] === 'documents') return `${say(kind.documents?.find((d) => d.id === parts[1])?.title)} · ${own}`
  if (parts.length < 3) return own
  return `${say(kind.fields.find((f) => f.key === parts[0])?.title)} ${Number(parts[1]) + 1} · ${own}`
}

function textOf(field: Field | undefined, v: Value): string {
  if (v.hidden) return t('record.hidden')
  if (field?.type === 'time') return dateTime(v.v as number)
  if (field?.type === 'bool') return t(v.v ? 'form.yes' : 'form.no')
  return v.text || String(v.v ?? '')
}
function factOf(kind: Kind, path: string, v: Value): Fact {
  const field = fieldAt(kind, path)
  return { path, title: say(field?.title) || path, text: textOf(field, v), masked: !!v.masked, hidden: !!v.hidden, revealable: !!v.revealable }
}

export function groupFacts(kind: Kind, values: Record<string, Value>): Facts {
  const out: Facts = { single: [], groups: [], documents: {} }
  const orderOf = orderer(kind)
  const paths = Object.keys(values).filter((p) => p !== 'title' && !p.startsWith('point/')).sort(orderOf)
  for (const path of paths) {
    const [head, second, third] = path.split('/')
    const fact = factOf(kind, path, values[path])
    if (head === 'documents') (out.documents[`${second}/${third}`] ??= []).push(fact)
    else if (second !== undefined && /^\d+$/.test(second)) addToGroup(out, kind, head, Number(second), fact)
    else out.single.push(fact)
  }
  return out
}
function addToGroup(out: Facts, kind: Kind, key: string, n: number, fact: Fact) {
  let group = out.groups.find((g) => g.key === key)
  if (!group) out.groups.push((group = { key, title: say(kind.fields.find((f) => f.key === key)?.title), items: [] }))
  let item = group.items.find((i) => i.n === n)
  if (!item) group.items.push((item = { n, facts: [] }))
  item.facts.push(fact)
}
/** orderer sorts paths as the definition lists their fields. */
function orderer(kind: Kind) {
  const place = (list: Field[] | undefined, key: string) => {
    const i = list?.findIndex((f) => f.key === key) ?? -1
    return i < 0 ? 999 : i
  }
  return (a: string, b: string) => {
    const [x, y] = [a.split('/'), b.split('/')]
    const group = kind.fields.find((f) => f.key === x[0])?.fields
    return place(kind.fields, x[0]) - place(kind.fields, y[0])
      || Number(x[1] ?? 0) - Number(y[1] ?? 0)
      || place(group, x[2]) - place(group, y[2])
      || a.localeCompare(b, 'en', { numeric: true })
  }
}
