import 'fake-indexeddb/auto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { mount } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ApiError, api, sentence } from './api'
import { DraftKeeper, drafts } from './drafts'
import { dateTime, setLang, t } from './i18n'
import { backoff, now, setServerTime } from './live'
import en from './locale/en'
import zh from './locale/zh'
import Picker from './Picker.vue'
import { groupFacts } from './facts'
import { itemsOf } from './group'
import { pieces } from './marks'
import { monthsOf } from './calendar'
import { arrivals } from './stores/bell'
import { matches, useReference } from './stores/reference'
import { useSession } from './stores/session'
import type { Field, Kind, Session, Workbench } from './types'
import { shortcutOf } from '../console/keys'

const store = useSession()

const walk = (dir: string): string[] => readdirSync(dir).flatMap((n) => (statSync(join(dir, n)).isDirectory() ? walk(join(dir, n)) : [join(dir, n)]))

describe('locales', () => {
  const source = walk('src').filter((f) => /\.(vue|ts)$/.test(f) && !f.includes('locale') && !f.endsWith('.test.ts') && !f.startsWith('src/wall')).map((f) => readFileSync(f, 'utf8')).join('\n')
  it('have the same keys, none empty', () => {
    expect(Object.keys(en).sort()).toEqual(Object.keys(zh).sort())
    for (const [k, v] of Object.entries({ ...zh, ...en })) expect(v, k).not.toBe('')
  })
  it('have every key that is used, and no other', () => {
    const prefixes = [...source.matchAll(/t\(`([a-z]+\.[a-z]*)\$\{/g)].map((m) => m[1])
    const direct = new Set([...source.matchAll(/'([a-z]+\.[A-Za-z0-9_]+)'/g)].map((m) => m[1]))
    for (const m of source.matchAll(/\bt\('([^']+)'/g)) expect(zh, m[1]).toHaveProperty([m[1]])
    for (const key of Object.keys(zh)) expect(direct.has(key) || prefixes.some((p) => key.startsWith(p)), `${key} is not used`).toBe(true)
  })
  it('keep no Chinese in components', () => {
    const spoken = (x: string) => x.endsWith('.vue') || (x.endsWith('.ts') && !x.endsWith('.test.ts') && !x.includes('locale') && !x.includes('wall'))
    for (const f of walk('src').filter(spoken)) {
      const text = readFileSync(f, 'utf8').replace(/\/\/.*$/gm, '').replace(/\/\*[\s\S]*?\*\//g, '').replace(/'中文'/g, '')
      expect(/[\u4e00-\u9fff]/.test(text), f).toBe(false)
    }
  })
})

describe('picker', () => {
  const choices = [{ value: '1', text: '枫源村', pinyin: 'feng yuan cun', initials: 'fyc' }, { value: '2', text: '枫一社区', pinyin: 'feng yi she qu', initials: 'fysq' }]
  it('finds by characters, pinyin and initials', () => {
    expect(choices.filter((c) => matches(c, 'fyc')).map((c) => c.value)).toEqual(['1'])
    expect(choices.filter((c) => matches(c, 'fengyi')).map((c) => c.value)).toEqual(['2'])
    expect(choices.filter((c) => matches(c, '枫')).length).toBe(2)
  })
  it('keeps tables of two kinds apart that have the same name', () => {
    const field = (): Field => ({ key: 'damage', type: 'code', table: 'damage', title: { zh: '损坏', en: 'Damage' } })
    const kind = (id: string, zh: string): Kind => ({ id, version: 1, title: { zh: id, en: id }, family: 'event', states: [], fields: [field()],
      steps: [{ id: 'look', title: { zh: id, en: id }, effect: 'note', roles: [], inputs: [field()] }], tables: [{ id: 'damage', codes: [{ code: 'x', zh, en: zh }] }] })
    const reference = useReference()
    reference.catalogue = { version: '1', kinds: [kind('bench', '腿断'), kind('lamp', '灯灭')], tables: { damage: [{ code: 'x', zh: '通用', en: 'General' }] }, roles: [] }
    const texts = (f?: Field) => reference.choices(f!).map((c) => c.text)
    expect(reference.catalogue.kinds.map((k) => texts(k.fields[0]))).toEqual([['腿断'], ['灯灭']])
    expect(texts(reference.kind('lamp')?.steps[0]?.inputs?.[0])).toEqual(['灯灭'])
    expect(texts(field())).toEqual(['通用'])
  })
  it('takes the first with Enter, but not while an input method composes', async () => {
    const w = mount(Picker, { props: { modelValue: '', choices, id: 'x' } })
    await w.find('input').trigger('focus')
    await w.find('input').setValue('fysq')
    await w.find('input').trigger('keydown', { key: 'Enter', keyCode: 229 })
    expect(w.emitted('update:modelValue')).toBeUndefined()
    await w.find('input').trigger('keydown', { key: 'Enter', keyCode: 13 })
    expect(w.emitted('update:modelValue')).toEqual([['2']])
  })
})

describe('time', () => {
  it('is the server\'s, whatever this PC thinks', () => {
    setServerTime(1_700_000_000_000)
    expect(Math.abs(now() - 1_700_000_000_000)).toBeLessThan(1000)
  })
  it('is shown in UTC+8', () => expect(dateTime(Date.UTC(2026, 0, 1, 16, 5))).toBe('2026-01-02 00:05'))
  it('backs off to half a minute, with jitter', () => {
    expect(backoff(0, () => 0.5)).toBe(1000)
    expect(backoff(99, () => 0)).toBe(24_000)
    expect(backoff(99, () => 1)).toBeCloseTo(36_000)
  })
})

describe('drafts', () => {
  beforeEach(() => { localStorage.clear(); store.session = { user: { id: 'u', username: 'u', name: 'U' } } as Session })
  it('are on this PC before the box answers', async () => {
    vi.stubGlobal('fetch', vi.fn(() => Promise.reject(new TypeError('network'))))
    new DraftKeeper('d1', 'intake', (f) => { f(); return 1 }).save({ title: '断电' })
    const found = await drafts('intake')
    expect(found.map((d) => d.data.title)).toEqual(['断电'])
    expect(await drafts('other')).toEqual([])
    vi.unstubAllGlobals()
  })
})

describe('requests', () => {
  afterEach(() => { vi.unstubAllGlobals(); store.signInNeeded = false })
  const answer = (status: number, body: unknown) => new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } })
  it('wait for a new sign-in with the same key, so that nothing is done twice', async () => {
    store.session = { csrf: 'old', user: { id: 'u', username: 'u', name: 'U' } } as Session
    const keys: (string | null)[] = []
    const tokens: (string | null)[] = []
    let n = 0
    vi.stubGlobal('fetch', vi.fn(async (r: Request) => {
      keys.push(r.headers.get('Idempotency-Key'))
      tokens.push(r.headers.get('X-CSRF-Token'))
      return n++ === 0 ? answer(401, { code: 'session_expired', detail: 'x', status: 401, request_id: '' }) : answer(201, { id: 'r' })
    }))
    const result = api.post('/records', { body: { kind: 'event', fields: {} } })
    await vi.waitFor(() => expect(store.signInNeeded).toBe(true))
    store.signedIn({ ...(store.session as Session), csrf: 'new' })
    expect(await result).toEqual({ id: 'r' })
    expect(keys[0]).toBeTruthy()
    expect(keys[0]).toBe(keys[1])
    expect(tokens).toEqual(['old', 'new'])
  })
  it('say problems in sentences, with the request number for failures', () => {
    void setLang('zh')
    const e = new ApiError({ type: '', title: '', code: 'internal', detail: '系统出错了。', status: 500, request_id: 'R1', errors: [{ field: 'a', code: 'x', message: '请填写名称' }] })
    expect(sentence(e)).toBe(`系统出错了。 请填写名称 (${t('error.trace')} R1)`)
  })
})

describe('a record', () => {
  const kind = {
    id: 'k', version: 1, family: 'event', states: [], steps: [], title: { zh: '事', en: 'K' },
    fields: [
      { key: 'title', type: 'text', title: { zh: '名称', en: 'Name' } },
      { key: 'people', type: 'group', title: { zh: '人员', en: 'People' }, fields: [{ key: 'name', type: 'text', title: { zh: '姓名', en: 'Name' } }, { key: 'phone', type: 'text', title: { zh: '电话', en: 'Phone' } }] },
      { key: 'count', type: 'int', title: { zh: '数量', en: 'Count' } },
    ],
    documents: [{ id: 'form', no: 1, title: { zh: '表', en: 'Form' }, fields: [{ key: 'facts', type: 'text', title: { zh: '事实', en: 'Facts' } }] }],
  } as Kind
  it('is read field by field, item by item, in the order of its kind', () => {
    const facts = groupFacts(kind, {
      count: { v: 3 }, title: { v: 'x' }, 'people/1/name': { v: '乙' }, 'people/0/phone': { text: '138****', masked: true, revealable: true },
      'people/0/name': { v: '甲' }, 'documents/form/0/facts': { v: '事' },
    })
    expect(facts.single.map((f) => f.title)).toEqual(['数量'])
    expect(facts.groups[0].items.map((i) => i.facts.map((f) => f.text))).toEqual([['甲', '138****'], ['乙']])
    expect(facts.documents['form/0'][0].title).toBe('事实')
  })
  it('numbers the items of a group', () => expect(itemsOf('p', ['p/2/a', 'p/0/b', 'q/1/a', 'p/2/c'])).toEqual([0, 2]))
  it('marks hits by character, beyond the basic plane too', () => {
    expect(pieces({ text: '𬱖村路灯', marks: [[1, 2]] })).toEqual([{ text: '𬱖', hit: false }, { text: '村', hit: true }, { text: '路灯', hit: false }])
  })
})

describe('the bell', () => {
  const row = (id: string, more = {}) => ({ id, title: id, heading: '', badge: 'saved', created_at: 1, ...more })
  const bench = {
    as_of: 100, queues: [{ id: 'mine', items: [row('late', { clock: { state: 'red', due_at: 50 } }), row('given', { badge: 'offered' })] }], incoming: [row('fresh'), row('late')],
  } as unknown as Workbench
  it('rings for offered, overdue and new matters, each once', () => {
    expect(arrivals(bench, true).map((a) => a.key)).toEqual(['given:offered', 'late:overdue', 'late:new', 'given:new', 'fresh:new'])
  })
  it('rings with others for their own queue only', () => expect(arrivals(bench, false).some((a) => a.row.id === 'fresh')).toBe(false))
})

describe('the calendar', () => {
  it('shows days off, make-up days and weekends', () => {
    const [january, february] = monthsOf(2026, ['2026-01-01 off 元旦', '2026-02-14 work 春节'])
    expect(january.weeks[0].map((d) => d?.day)).toEqual([undefined, undefined, undefined, 1, 2, 3, 4])
    expect(january.weeks[0][3]).toEqual({ day: 1, off: true, special: true, name: '元旦' })
    expect(january.weeks[0][5]?.off).toBe(true)
    expect(february.weeks.flat().find((d) => d?.day === 14)).toMatchObject({ off: false, special: true })
    expect(february.weeks.flat().filter(Boolean).length).toBe(28)
  })
})

describe('keys', () => {
  const press = (key: string, more: KeyboardEventInit = {}, target: HTMLElement = document.body) => {
    const e = new KeyboardEvent('keydown', { key, ...more })
    Object.defineProperty(e, 'target', { value: target })
    return shortcutOf(e)
  }
  it('work outside of fields; Alt+N everywhere', () => {
    const field = document.createElement('input')
    expect(press('/')).toBe('search')
    expect(press('/', {}, field)).toBeNull()
    expect(press('n', { altKey: true }, field)).toBe('new')
    expect(press('j', { ctrlKey: true })).toBeNull()
  })
  it('rest while an input method composes', () => expect(press('n', { altKey: true, isComposing: true })).toBeNull())
})
