// Walks the product as its people do, in a real browser against a real box.
// Closes with one line: N passed, N failed.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { wallTests } from './wall.mjs'

const bin = fileURLToPath(new URL('../../bin/fengqiao', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'fengqiao-e2e-'))
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const password = 'fengqiao-2026'
let box
let passed = 0
let failed = 0

function assert(ok, what) {
  if (!ok) throw new Error(what)
}
async function until(what, f, ms = 15_000) {
  const end = Date.now() + ms
  for (;;) {
    const v = await f()
    if (v) return v
    if (Date.now() > end) throw new Error(`timeout: ${what}`)
    await new Promise((r) => setTimeout(r, 100))
  }
}
async function start(args, port) {
  const child = spawn(bin, [...args, '--listen', `127.0.0.1:${port}`], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', (d) => (out += d))
  return { child, output: () => out }
}
const ended = (p) => new Promise((r) => (p.child.exitCode !== null ? r() : p.child.once('exit', r)))

const ready = join(root, 'ready.json')
const demo = ['demo', '--data', join(root, 'demo'), '--once-ready-file', ready]
const port = 20_000 + (process.pid % 20_000)
box = await start(demo, port)
await until('the demo is ready', () => existsSync(ready), 90_000)
const { url, logins } = JSON.parse(readFileSync(ready, 'utf8'))

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags })
const foreign = []
async function context(options = {}) {
  const c = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'zh-CN', ...options })
  c.on('request', (r) => { if (!r.url().startsWith(url) && !r.url().startsWith('data:') && !r.url().startsWith('http://127.0.0.1')) foreign.push(r.url()) })
  return c
}
const errors = []
async function signIn(c, user, path) {
  const p = await c.newPage()
  p.on('pageerror', (e) => errors.push(`${user}: ${e.message}`))
  p.on('console', (m) => { if (/Content Security Policy|TypeError/.test(m.text())) errors.push(`${user}: ${m.text()}`) })
  await p.goto(url + path)
  await p.fill('input[autocomplete=username]', user)
  await p.fill('input[type=password]', password)
  await p.keyboard.press('Enter')
  return p
}
async function test(name, f) {
  const began = Date.now()
  try {
    await f()
    passed++
    console.log(`ok   ${name} (${Date.now() - began} ms)`)
  } catch (e) {
    failed++
    console.log(`FAIL ${name}: ${e.message}`)
  }
}
const choose = async (p, label, text) => {
  await p.getByLabel(label, { exact: false }).first().fill(text)
  await p.keyboard.press('Enter')
}
/** act takes a step of the open record and fills what is asked. */
async function act(p, step, fill = async () => {}) {
  await p.getByRole('button', { name: step, exact: true }).first().click()
  await p.waitForSelector('[role=dialog]')
  await fill()
  await p.keyboard.press('Control+Enter')
  await p.waitForSelector('[role=dialog]', { state: 'detached' })
}

const desk = await context()
let duty
let number = ''
let recordURL = ''

await test('the duty officer takes a call by keyboard alone', async () => {
  duty = await signIn(desk, 'duty', '/app')
  await duty.waitForSelector('.bench')
  await duty.keyboard.press('Alt+n')
  await until('focus in the subject', () => duty.evaluate(() => document.activeElement?.id === 'f-title'))
  await duty.keyboard.type('古樟树枝条折断')
  await duty.keyboard.press('Tab')
  await duty.keyboard.type('fyc') // initials of 枫源村
  await until('the village is offered', () => duty.locator('.picker li').count())
  await duty.keyboard.press('Enter')
  await duty.keyboard.press('Tab')
  await duty.keyboard.press('ArrowDown')
  await duty.keyboard.press('Control+Enter')
  await duty.waitForURL(/\/app\/r\//)
  recordURL = duty.url()
  number = await duty.locator('header.card b').first().innerText()
  assert(/枫事〔\d{4}〕\d{5}号/.test(number), `number ${number}`)
})

await test('village → township → station → verified and closed', async () => {
  const village = await signIn(await context({ viewport: { width: 390, height: 844 } }), 'village', '/m')
  await village.getByText('登记新事项').first().click()
  await village.waitForSelector('#f-title')
  await village.fill('#f-title', '水渠盖板缺失')
  await village.selectOption('#f-type', '01')
  await village.click('button.main')
  await village.waitForSelector('article')
  const id = (await village.evaluate(() => location.hash)).slice(3)
  await duty.goto(`${url}/app/r/${id}`)
  await duty.waitForSelector('article')
  await act(duty, '受理')
  await act(duty, '交办', async () => { await choose(duty, '发往单位', 'zhzfd') })
  const station = await signIn(await context(), 'station', `/app/r/${id}`)
  await station.waitForSelector('article')
  await act(station, '签收')
  await act(station, '办结', async () => { await station.fill('#f-result', '已补装盖板') })
  await duty.waitForTimeout(1200)
  await duty.reload()
  await duty.waitForSelector('article')
  await act(duty, '核实通过')
  await act(duty, '结案')
  await until('closed', async () => (await duty.locator('article header').innerText()).includes('已结案'))
  await station.close()
})

await test('a masked name is revealed with a reason, and the auditor sees it', async () => {
  await duty.goto(url + '/app/search?q=' + encodeURIComponent('演示') + '&kind=event')
  await duty.waitForSelector('.found .rows a')
  await duty.locator('.found .rows a').first().click()
  await duty.waitForSelector('article')
  const reveal = duty.getByRole('button', { name: '查看全文' }).first()
  await reveal.click()
  await duty.locator('[role=dialog] select').selectOption({ index: 1 })
  await duty.locator('[role=dialog] button.main').click()
  await until('the full name', async () => /某某/.test(await duty.locator('dl').innerText()))
  const auditor = await signIn(await context(), 'auditor', '/app')
  await until('the reading in the audit', async () => (await auditor.locator('table').innerText().catch(() => '')).includes('reveal'))
  await auditor.close()
})

await test('two officers on one record: the second sees the change and repeats', async () => {
  const second = await signIn(await context(), 'leader', '/app')
  await second.waitForSelector('.bench')
  await second.goto(recordURL)
  await duty.goto(recordURL)
  await second.waitForSelector('article')
  await duty.waitForSelector('article')
  await second.getByText('更多操作').click()
  await duty.getByText('更多操作').click()
  const amend = async (p, n) => {
    await p.getByRole('button', { name: '更正', exact: true }).click()
    await p.waitForSelector('[role=dialog]')
    await p.locator('[role=dialog] select').first().selectOption('people_count')
    await p.fill('#f-people_count', String(n))
    await p.locator('#f-reason').first().selectOption({ index: 1 }).catch(() => undefined)
  }
  await amend(duty, 3)
  const other = await desk.newPage()
  await other.goto(recordURL)
  await other.waitForSelector('article')
  await other.getByText('更多操作').click()
  await amend(other, 5)
  await other.keyboard.press('Control+Enter')
  await other.waitForSelector('[role=dialog]', { state: 'detached' })
  await duty.keyboard.press('Control+Enter')
  await until('the change is shown', async () => (await duty.locator('[role=dialog]').innerText()).includes('其他人刚刚办理过'))
  await duty.keyboard.press('Control+Enter')
  await duty.waitForSelector('[role=dialog]', { state: 'detached' })
  await other.close()
  await second.close()
})

await test('nothing typed is lost when the session ends or the page dies', async () => {
  await duty.goto(url + '/app/new')
  await duty.waitForSelector('#f-title')
  await duty.fill('#f-title', '会话过期也不丢')
  await duty.selectOption('#f-type', '01')
  await duty.waitForTimeout(600)
  await desk.clearCookies()
  await duty.keyboard.press('Control+Enter')
  await duty.waitForSelector('.backdrop input[type=password]')
  await duty.fill('.backdrop input[autocomplete=username]', 'duty')
  await duty.fill('.backdrop input[type=password]', password)
  await duty.keyboard.press('Enter')
  await duty.waitForURL(/\/app\/r\//)
  assert((await duty.locator('h1').first().innerText()).includes('会话过期也不丢'), 'the title is gone')
  await duty.goto(url + '/app/new')
  await duty.waitForSelector('#f-title')
  await duty.fill('#f-title', '断电草稿')
  await duty.waitForTimeout(600)
  await duty.reload()
  await until('the draft is offered', async () => (await duty.locator('.note').allInnerTexts()).some((t) => t.includes('断电草稿')))
})

await wallTests({ url, password, context, test, assert, until, box: {
  freeze: (on) => box.child.kill(on ? 'SIGSTOP' : 'SIGCONT'),
  kill: async () => { box.child.kill('SIGKILL'); await ended(box) },
  start: async () => {
    box = await start(demo, port)
    await until('the server is back', async () => (await fetch(url + '/readyz').catch(() => null))?.ok, 30_000)
  },
} })

await test('old matters are imported and taken back; UTF-16 is refused by name', async () => {
  await duty.goto(url + '/app/import')
  await duty.waitForSelector('input[type=file]')
  await duty.locator('select').first().selectOption('event')
  await duty.locator('input[type=file]').setInputFiles({ name: 'utf16.csv', mimeType: 'text/csv', buffer: Buffer.from('\ufeff编号,a\n', 'utf16le') })
  await until('UTF-16 is refused by name', async () => (await duty.locator('.error').first().innerText().catch(() => '')).includes('UTF-16'))
  const csv = '编号,事件名称,事件大类,发生村（社区）\n旧〔2018〕1号,旧事一,民生服务,枫源村\n旧〔2018〕2号,旧事二,民生服务,枫源村\n'
  await duty.locator('input[type=file]').setInputFiles({ name: 'old.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) })
  await duty.getByRole('button', { name: '导入 2 行' }).click()
  await until('done', async () => (await duty.locator('.card').last().innerText()).includes('已导入'))
  await duty.goto(url + '/app/search?q=' + encodeURIComponent('旧事二'))
  await until('found', async () => { await duty.reload(); await duty.waitForSelector('.found', { timeout: 5000 }).catch(() => null); return duty.locator('.found .rows a').count() })
  await duty.goto(url + '/app/import')
  await duty.getByRole('button', { name: '撤销' }).click()
  await until('undone', async () => (await duty.locator('.card').last().innerText()).includes('已撤销'))
})

await test('every demo login opens its page', async () => {
  for (const l of logins) {
    const c = await context(l.page === '/m' ? { viewport: { width: 390, height: 844 } } : {})
    const p = await signIn(c, l.username, l.page)
    await p.waitForSelector(l.page === '/m' ? '.phone' : '.page')
    await c.close()
  }
})

await test('a new box is founded in the browser', async () => {
  const dir = join(root, 'fresh')
  const init = spawn(bin, ['init', '--data', dir], { stdio: 'ignore' })
  await new Promise((r) => init.once('exit', r))
  const fresh = await start(['serve', '--data', dir, '--log', 'error'], port + 1)
  const code = (await until('the setup code', () => /setup code: (\S+)/.exec(fresh.output()), 20_000))[1]
  const p = await (await context()).newPage()
  await p.goto(`http://127.0.0.1:${port + 1}/setup`)
  await p.getByLabel('设置码').fill(code)
  await p.getByLabel('单位代码').fill('330681109')
  await p.getByLabel('单位名称').fill('枫桥镇')
  await p.getByRole('checkbox').check()
  const users = ['sys01', 'sec01', 'aud01']
  for (let i = 0; i < 3; i++) {
    await p.getByLabel('用户名').nth(i).fill(users[i])
    await p.getByLabel('姓名').nth(i).fill(`管理员${i}`)
    await p.getByLabel('密码').nth(i).fill('correct-horse-9')
  }
  await p.getByRole('button', { name: '完成设置' }).click()
  await p.waitForSelector('.sheet')
  const secret = await p.locator('p.key').innerText()
  assert(secret.startsWith('AGE-S'), 'no key on the sheet')
  fresh.child.kill('SIGTERM')
  await ended(fresh)
})

await test('no page asked another host, no script failed', async () => {
  assert(foreign.length === 0, foreign.join(' '))
  assert(errors.length === 0, errors.join(' | '))
})

await browser.close()
box.child.kill('SIGTERM')
await ended(box)
rmSync(root, { recursive: true, force: true })
console.log(`e2e: ${passed} passed, ${failed} failed`)
process.exit(failed ? 1 : 0)
