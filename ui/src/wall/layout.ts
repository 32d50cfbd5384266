export interface Place { code: string; name: string; lng: number; lat: number; open: number; today?: number }
export interface Placed extends Place { x: number; y: number; r: number }

const radius = (open: number) => 16 + Math.min(30, Math.sqrt(open) * 9)

/** layout puts places into a box by their coordinates and pushes those
 *  apart that would cover each other's names; the same input gives the same
 *  picture. */
export function layout(places: Place[], width: number, height: number): Placed[] {
  if (!places.length) return []
  const lng = places.map((p) => p.lng)
  const lat = places.map((p) => p.lat)
  const [w, e, s, n] = [Math.min(...lng), Math.max(...lng), Math.min(...lat), Math.max(...lat)]
  const pad = 80
  const out = places.map((p) => ({ ...p, r: radius(p.open), x: pad + ((p.lng - w) / Math.max(1, e - w)) * (width - 2 * pad), y: pad + ((n - p.lat) / Math.max(1, n - s)) * (height - 2 * pad) }))
  out.sort((a, b) => a.code.localeCompare(b.code))
  for (let round = 0; round < 300; round++) {
    let moved = false
    for (let i = 0; i < out.length; i++) {
      for (let j = i + 1; j < out.length; j++) moved = apart(out[i], out[j]) || moved
    }
    for (const p of out) {
      p.x = Math.min(width - pad, Math.max(pad, p.x))
      p.y = Math.min(height - pad, Math.max(pad / 2, p.y))
    }
    if (!moved) break
  }
  return out
}

function apart(a: Placed, b: Placed): boolean {
  const needX = 118
  const needY = a.r + b.r + 32 // a disc, the name below it, the next disc
  const dx = b.x - a.x
  const dy = b.y - a.y
  if (Math.abs(dx) >= needX || Math.abs(dy) >= needY) return false
  const overX = (needX - Math.abs(dx)) / 2
  const overY = (needY - Math.abs(dy)) / 2
  if (overX * needY < overY * needX) {
    const d = dx < 0 ? -overX : overX
    a.x -= d / 2
    b.x += d / 2
  } else {
    const d = dy < 0 ? -overY : overY
    a.y -= d / 2
    b.y += d / 2
  }
  return true
}
