import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { mount } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ApiError, api, sentence, session, signInNeeded, signedIn, type Session } from './api'
import { DraftKeeper, drafts } from './drafts'
import { dateTime, setLang, t } from './i18n'
import { backoff, now, setServerTime } from './live'
import en from './locale/en'
import zh from './locale/zh'
import Picker from './Picker.vue'
import { matches } from './state'

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
  it('keep no Chinese outside the locale files but labels of generated inputs', () => {
    for (const f of walk('src').filter((x) => x.endsWith('.vue') && !x.endsWith('StepDialog.vue'))) {
      const text = readFileSync(f, 'utf8').replace(/\/\/.*$/gm, '').replace(/'中文'/g, '')
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
  beforeEach(() => { localStorage.clear(); session.value = { user: { id: 'u', username: 'u', name: 'U' } } as Session })
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
  afterEach(() => { vi.unstubAllGlobals(); signInNeeded.value = false })
  const answer = (status: number, body: unknown) => ({ ok: status < 300, status, json: async () => body, headers: new Headers() })
  it('wait for a new sign-in with the same key, so that nothing is done twice', async () => {
    session.value = { csrf: 'old', user: { id: 'u', username: 'u', name: 'U' } } as Session
    const keys: string[] = []
    let n = 0
    vi.stubGlobal('fetch', vi.fn(async (_: string, o: RequestInit) => {
      keys.push((o.headers as Record<string, string>)['Idempotency-Key'])
      return n++ === 0 ? answer(401, { code: 'session_expired', detail: 'x', status: 401, request_id: '' }) : answer(200, { done: true })
    }))
    const result = api.post<{ done: boolean }>('/records', { a: 1 })
    await vi.waitFor(() => expect(signInNeeded.value).toBe(true))
    signedIn({ ...(session.value as Session), csrf: 'new' })
    expect(await result).toEqual({ done: true })
    expect(keys[0]).toBe(keys[1])
  })
  it('say problems in sentences, with the request number for failures', () => {
    setLang('zh')
    const e = new ApiError({ code: 'internal', detail: '系统出错了。', status: 500, request_id: 'R1', errors: [{ field: 'a', code: 'x', message: '请填写名称' }] })
    expect(sentence(e)).toBe(`系统出错了。 请填写名称 (${t('error.trace')} R1)`)
  })
})
