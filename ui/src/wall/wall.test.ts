import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { isFlood, loudOf, repeatAfter } from './bell'
import { freshnessOf, merge, waitFor, type WallAlarm } from './feed'
import { frameOf, shapeOf, unitOf } from './frame'
import { layout, type Place } from './layout'
import en from './locale/en'
import zh from './locale/zh'
import { shadeOf, shades } from './palette'
import { seconds, span, when } from './text'

describe('strings', () => {
  const source = readdirSync('src/wall').filter((f) => /\.(vue|ts)$/.test(f) && !f.endsWith('.test.ts')).map((f) => readFileSync(`src/wall/${f}`, 'utf8')).join('\n')
  it('are complete in both languages', () => {
    expect(Object.keys(en)).toEqual(Object.keys(zh))
    for (const [k, v] of Object.entries({ ...zh, ...en })) expect(v, k).not.toBe('')
    for (const key of Object.keys(zh)) expect([...en[key as keyof typeof en].matchAll(/\{\w+\}/g)].map(String).sort(), key).toEqual([...zh[key as keyof typeof zh].matchAll(/\{\w+\}/g)].map(String).sort())
  })
  it('are all used, and none is missing', () => {
    const used = [...source.matchAll(/'(wall\.[\w.]+)'/g)].map((m) => m[1])
    for (const key of used) expect(zh, key).toHaveProperty([key])
    const begun = [...source.matchAll(/`(wall\.[\w.]+)\$\{/g)].map((m) => m[1])
    for (const key of Object.keys(zh)) expect(used.includes(key) || begun.some((b) => key.startsWith(b)), key).toBe(true)
  })
  it('stand in the locale files alone', () => {
    expect(source.replace(/\/\/.*|<!--.*-->/g, '')).not.toMatch(/[\u4e00-\u9fff]/)
  })
})

describe('frame', () => {
  it('is the same picture on every wall of a shape', () => {
    expect([unitOf(1920, 1080), unitOf(3840, 2160), unitOf(3840, 1080)]).toEqual([1, 2, 1])
    expect(unitOf(1366, 768)).toBeCloseTo(0.711, 3)
    expect([unitOf(1080, 1920), unitOf(1440, 1080), unitOf(1024, 768)]).toEqual([1, 1, 1024 / 1440])
    expect([[1080, 1920], [1366, 768], [2560, 1080], [3840, 1080], [7680, 2160]].map(([w, h]) => shapeOf(w, h))).toEqual(['tall', 'normal', 'normal', 'wide', 'wide'])
  })
  it('shows every panel once, more of them on a broad wall', () => {
    const names = (w: number, h: number) => [...frameOf(w, h).left, ...frameOf(w, h).right].flat()
    for (const size of [[1920, 1080], [3840, 1080]] as const) expect(new Set(names(...size)).size).toBe(names(...size).length)
    expect(names(1920, 1080)).toHaveLength(6)
    expect(names(3840, 1080)).toEqual(expect.arrayContaining(names(1920, 1080)))
  })
})

describe('freshness', () => {
  it('is late, grey, cut off', () => {
    expect([0, 29_999, 30_000, 44_999, 45_000, 59_999, 60_000].map(freshnessOf)).toEqual(['fresh', 'fresh', 'late', 'late', 'stale', 'stale', 'cut'])
  })
  it('asks at once for an alarm, once a second for the rest', () => {
    expect([waitFor(true, 5), waitFor(false, 5), waitFor(false, 1000), waitFor(false, Infinity)]).toEqual([0, 995, 0, 0])
  })
  it('keeps what did not change, so that it is not drawn again', () => {
    const trend = [{ date: '01-01', reported: 1 }]
    const data: Partial<{ trend: { date: string; reported: number }[]; as_of: number }> = { trend, as_of: 1 }
    merge(data, { trend: [{ date: '01-01', reported: 1 }], as_of: 2 })
    expect(data.trend).toBe(trend)
    expect(data.as_of).toBe(2)
    merge(data, { trend: [{ date: '01-01', reported: 2 }], as_of: 3 })
    expect(data.trend).not.toBe(trend)
  })
})

describe('bell', () => {
  it('rings for the two highest levels', () => {
    expect(loudOf([1, 2, 3, 4].map((level) => ({ level }) as WallAlarm)).map((a) => a.level)).toEqual([1, 2])
  })
  it('repeats by level, less in a flood', () => {
    expect([repeatAfter(1, 1), repeatAfter(1, 11), repeatAfter(2, 1)]).toEqual([10_000, 60_000, 300_000])
    expect([isFlood(10), isFlood(11)]).toEqual([false, true])
  })
})

describe('words', () => {
  const noon = Date.UTC(2026, 2, 2, 4) // 12:00 in China
  it('give times of the one zone', () => {
    expect(seconds(noon)).toBe('12:00:00')
    expect(when(noon, noon + 3600_000)).toBe('12:00')
    expect(when(noon, noon + 24 * 3600_000)).toBe('03-02 12:00')
  })
  it('say how long', () => {
    expect([5_000, 125_000, 3 * 3600_000, 28 * 3600_000, 48 * 3600_000, 300 * 3600_000].map(span)).toEqual(['5 秒', '2 分', '3 小时', '1 天 4 小时', '2 天', '12 天'])
  })
})

describe('schematic map', () => {
  const places: Place[] = Array.from({ length: 30 }, (_, i) => ({ code: String(i), name: '枫桥新村', lng: 120_000_000 + (i % 6) * 900 + i, lat: 29_000_000 + Math.floor(i / 6) * 700 + i, open: i % 7 }))
  const boxes = [[880, 540, 1], [880, 650, 1], [1760, 1300, 2], [620, 460, 0.711], [1280, 540, 1]]
  it('keeps names and discs apart and inside, at every size', () => {
    for (const [w, h, u] of boxes) {
      const all = layout(places, w, h, u)
      for (const p of all) {
        expect(p.x - p.w / 2 >= -1 && p.x + p.w / 2 <= w + 1 && p.y - p.r >= 0 && p.y + p.r + 34 * u <= h, `${p.code} at ${w}`).toBe(true)
        for (const q of all) {
          if (p.code >= q.code || Math.abs(p.x - q.x) >= (p.w + q.w) / 2 - 6 * u) continue
          const [top, bottom] = p.y < q.y ? [p, q] : [q, p]
          expect(bottom.y - bottom.r - (top.y + top.r + 34 * u), `${p.code} and ${q.code} at ${w}`).toBeGreaterThan(-6 * u)
        }
      }
    }
  })
  it('stands still while numbers move within a class', () => {
    const spots = (list: Place[]) => layout(list, 880, 650).map((p) => [p.x, p.y])
    expect(spots(places.map((p) => ({ ...p, open: 4 })))).toEqual(spots(places.map((p) => ({ ...p, open: 5 }))))
  })
  it('keeps north up and east right', () => {
    const [a, b] = layout([{ ...places[0], lng: 120_000_000, lat: 29_000_000 }, { ...places[1], lng: 120_100_000, lat: 29_100_000 }], 900, 600)
    expect(b.x).toBeGreaterThan(a.x)
    expect(b.y).toBeLessThan(a.y)
  })
  it('gives the same picture twice, and a place to villages without a position', () => {
    expect(layout([...places].reverse(), 880, 650)).toEqual(layout(places, 880, 650))
    const lost = places.map((p, i) => (i % 2 ? p : { ...p, lng: 0, lat: 0 }))
    const spots = layout(lost, 1280, 650).map((p) => `${Math.round(p.x)},${Math.round(p.y)}`)
    expect(new Set(spots).size).toBe(30)
    expect(layout([], 10, 10)).toEqual([])
    expect(layout(places.slice(0, 1), 900, 600)[0]).toMatchObject({ x: 450, y: 300 })
  })
  it('brightens with open matters', () => {
    expect([0, 1, 2, 3, 6, 10, 500].map(shadeOf)).toEqual([shades[0], shades[1], shades[1], shades[2], shades[3], shades[4], shades[4]])
  })
})
