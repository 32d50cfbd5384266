// How states look: a shape and a word beside every tone, because colour
// alone does not reach everybody (UI tones are defined in tokens.css).
export type Tone = 'plain' | 'blue' | 'amber' | 'red' | 'green'

export const clockLook: Record<string, { shape: string; tone: Tone }> = {
  normal: { shape: '○', tone: 'plain' },
  due_soon: { shape: '■', tone: 'blue' },
  yellow: { shape: '▲', tone: 'amber' },
  red: { shape: '●', tone: 'red' },
  paused: { shape: '‖', tone: 'plain' },
  stopped: { shape: '✓', tone: 'green' },
}
export const levelLook: Record<number, string> = { 1: '●', 2: '▲', 3: '■', 4: '○' }
export const levelTone = (level: number): Tone => (level === 1 ? 'red' : level === 2 ? 'amber' : 'plain')
export const cardLook: Record<string, { shape: string; tone: Tone }> = {
  normal: { shape: '■', tone: 'blue' },
  yellow: { shape: '▲', tone: 'amber' },
  red: { shape: '●', tone: 'red' },
}
const stateTones: Record<string, Tone> = { bad: 'red', good: 'green', active: 'blue' }
/** toneOf gives the tone of a state as its kind declares it. */
export const toneOf = (declared: string): Tone => stateTones[declared] ?? 'plain'
