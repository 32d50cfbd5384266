// Colours of the dark wall. Contrast on the panel: ink 14, soft 8, blue 10,
// amber 11, red 7. Nothing is told by colour alone.
export const ink = '#e8f1ff'
export const soft = '#a9b8cc'
export const panel = '#0d2140'
export const edge = '#24446f'
export const border = '#6fa8dc' // between areas
export const blue = '#56b4e9'
export const amber = '#ffd166'
export const red = '#ff8a80'
export const font = '"Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "WenQuanYi Micro Hei", sans-serif'

/** shades of a place by its class, dark to bright, one hue. */
export const shades = ['#17386a', '#2460a4', '#3179c6', '#4596e6', '#74b6f7']
const steps = [1, 3, 6, 10]
/** classOf sorts a place by its open matters: none, 1, 3, 6, 10 and more. */
export const classOf = (open: number) => steps.filter((s) => open >= s).length
export const shadeOf = (open: number) => shades[classOf(open)]

/** marks: shape and tone of an urgency or a clock, beside its word. */
export const urgencyMark: Record<string, { shape: string; tone: string }> = { emergency: { shape: '●', tone: 'red' }, urgent: { shape: '▲', tone: 'amber' } }
export const levelMark: Record<number, string> = { 1: '●', 2: '▲', 3: '■', 4: '○' }
