// The schematic map: every village a disc at its centre point with its name
// below, moved no further than reading needs. No outline is claimed.
import { classOf } from './palette'

export interface Place { code: string; name: string; lng: number; lat: number; open: number }
export interface Placed extends Place { x: number; y: number; r: number; w: number; placed: boolean }
export interface Size { width: number; height: number }

const label = 26 // px of the name at 1080 high
const lineHeight = 34
const gap = 8

const radii = [10, 25, 31, 37, 44]

/** radiusOf gives a disc's radius in units: a dot without open matters, else
 *  wide enough for its number. It goes by class, so that the map stands
 *  still while a number moves within it. */
export const radiusOf = (open: number, scale = 1) => (open ? Math.max(20, radii[classOf(open)] * scale) : radii[0])

/** layout puts places into a box, north up, then pushes those apart that
 *  would cover each other. Places without a position stand in rows along the
 *  bottom. The same input gives the same picture. */
export function layout(places: Place[], width: number, height: number, unit = 1): Placed[] {
  const sorted = [...places].sort((a, b) => a.code.localeCompare(b.code))
  const scale = [1, 0.85, 0.7, 0.55].find((s) => area(sorted, s) * unit * unit < 0.45 * width * height) ?? 0.45
  const all = sorted.map((p) => block(p, unit, scale))
  const known = all.filter((p) => p.placed)
  const room = { width, height: bottomRows(all.filter((p) => !p.placed), { width, height }, unit) }
  project(known, room, unit)
  for (let round = 0; round < 400 && separate(known, unit); round++) clamp(known, room, unit)
  clamp(known, room, unit)
  return all
}

const widthOf = (p: Place, r: number) => Math.max(2 * r, [...p.name].length * label) + gap
/** area that the blocks of all places take, in square units. */
const area = (list: Place[], scale: number) => list.reduce((sum, p) => {
  const r = radiusOf(p.open, scale)
  return sum + widthOf(p, r) * (2 * r + lineHeight + gap)
}, 0)

function block(p: Place, unit: number, scale: number): Placed {
  const r = radiusOf(p.open, scale)
  return { ...p, r: r * unit, w: widthOf(p, r) * unit, x: 0, y: 0, placed: p.lng !== 0 || p.lat !== 0 }
}
const above = (p: Placed) => p.r
const below = (p: Placed, unit: number) => p.r + (lineHeight + gap) * unit

/** bottomRows places what has no position and gives the height left. */
function bottomRows(list: Placed[], box: Size, unit: number): number {
  const row = Math.max(0, ...list.map((p) => p.r + below(p, unit))) + gap * unit
  let x = 0
  let y = box.height
  for (const p of list) {
    if (x === 0 || x + p.w > box.width) {
      x = 0
      y -= row
    }
    p.x = x + p.w / 2
    p.y = y + p.r
    x += p.w + gap * unit
  }
  return y
}

/** project keeps who lies east and north of whom and evens out distances:
 *  half by coordinate, half by rank, since the villages of a valley crowd
 *  in its middle. */
function project(list: Placed[], box: Size, unit: number) {
  const [padX, padY] = [70 * unit, 48 * unit]
  const xs = spread(list.map((p) => p.lng))
  const ys = spread(list.map((p) => -p.lat))
  list.forEach((p, i) => {
    p.x = padX + xs[i] * (box.width - 2 * padX)
    p.y = padY + ys[i] * (box.height - 2 * padY)
  })
}

function spread(values: number[]): number[] {
  const low = Math.min(...values)
  const range = Math.max(...values) - low
  if (!range) return values.map(() => 0.5)
  const sorted = [...values].sort((a, b) => a - b)
  return values.map((v) => ((v - low) / range + sorted.indexOf(v) / (values.length - 1)) / 2)
}

function separate(list: Placed[], unit: number): boolean {
  let moved = false
  for (let i = 0; i < list.length; i++) {
    for (let j = i + 1; j < list.length; j++) moved = apart(list[i], list[j], unit) || moved
  }
  return moved
}

/** apart moves two that overlap along the axis where less is missing. */
function apart(a: Placed, b: Placed, unit: number): boolean {
  const [top, bottom] = a.y <= b.y ? [a, b] : [b, a]
  const needX = (a.w + b.w) / 2
  const needY = below(top, unit) + above(bottom)
  const overX = needX - Math.abs(b.x - a.x)
  const overY = needY - (bottom.y - top.y)
  if (overX <= 0 || overY <= 0) return false
  if (overX / needX < overY / needY) {
    const d = ((a.x <= b.x ? -1 : 1) * (overX + 1)) / 2
    a.x += d
    b.x -= d
  } else {
    top.y -= (overY + 1) / 2
    bottom.y += (overY + 1) / 2
  }
  return true
}

function clamp(list: Placed[], box: Size, unit: number) {
  for (const p of list) {
    p.x = Math.min(box.width - p.w / 2, Math.max(p.w / 2, p.x))
    p.y = Math.min(box.height - below(p, unit), Math.max(above(p) + 3 * gap * unit, p.y))
  }
}
