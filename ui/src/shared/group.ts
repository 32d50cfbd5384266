// A repeating group of a form: its items, those that stand on the record
// already, adding and removing.
import { computed } from 'vue'
import { defaults } from './stores/reference'
import type { Field, Value } from './types'

/** itemsOf lists the numbers of a group's items that paths speak of. */
export function itemsOf(group: string, paths: string[]): number[] {
  const numbers = paths.filter((p) => p.startsWith(`${group}/`)).map((p) => Number(p.slice(group.length + 1).split('/')[0]))
  return [...new Set(numbers.filter((n) => Number.isInteger(n)))].sort((a, b) => a - b)
}

export interface GroupProps {
  field: Field
  path: string
  values: Record<string, unknown>
  errors: Record<string, string>
  required?: boolean
  standing?: Record<string, Value>
}
export function useGroup(props: GroupProps, change: (path: string, value: unknown) => void) {
  const parts = computed(() => props.field.fields ?? [])
  const standing = computed(() => itemsOf(props.path, Object.keys(props.standing ?? {})))
  const items = computed(() => {
    const typed = Object.keys(props.values).filter((p) => props.values[p] !== undefined)
    return itemsOf(props.path, [...typed, ...Object.keys(props.standing ?? {})])
  })
  function add() {
    const n = items.value.length ? items.value[items.value.length - 1] + 1 : 0
    change(`${props.path}/${n}/${parts.value[0].key}`, '')
    for (const [k, v] of Object.entries(defaults(parts.value))) change(`${props.path}/${n}/${k}`, v)
  }
  function remove(n: number) {
    for (const p of Object.keys(props.values)) if (p.startsWith(`${props.path}/${n}/`)) change(p, undefined)
  }
  return { parts, standing, items, add, remove }
}
