// Keys of the whole console. They are off while an input method composes
// and, but for Alt+N, while somebody types in a field.
export type Shortcut = 'new' | 'search' | 'help' | 'next' | 'previous'

const plain: Record<string, Shortcut> = { '/': 'search', '?': 'help', j: 'next', k: 'previous' }

export function shortcutOf(e: KeyboardEvent): Shortcut | null {
  if (e.isComposing || e.keyCode === 229) return null
  if (e.altKey && !e.ctrlKey && e.key.toLowerCase() === 'n') return 'new'
  if (e.altKey || e.ctrlKey || e.metaKey) return null
  const target = e.target as HTMLElement
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable) return null
  return plain[e.key] ?? null
}
