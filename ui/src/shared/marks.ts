import type { Snippet } from './types'

/** pieces cuts a snippet at its marks, which count characters; text stays text. */
export function pieces(s: Pick<Snippet, 'text' | 'marks'>): { text: string; hit: boolean }[] {
  const out: { text: string; hit: boolean }[] = []
  Array.from(s.text).forEach((character, i) => {
    const hit = s.marks.some(([from, to]) => i >= from && i < to)
    const last = out[out.length - 1]
    if (last?.hit === hit) last.text += character
    else out.push({ text: character, hit })
  })
  return out
}
