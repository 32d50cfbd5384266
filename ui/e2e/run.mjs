// Walks the product as its people do, in a real browser against a real box.
// Closes with one line: N passed, N failed.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { adminTests } from './admin.mjs'
import { deskTests } from './desk.mjs'
import { dutyTests } from './duty.mjs'
import { assert, until } from './kit.mjs'
import { lookTests } from './look.mjs'
import { mediationTests } from './mediation.mjs'
import { setupTests } from './setup.mjs'
import { wallTests } from './wall.mjs'

const bin = fileURLToPath(new URL('../../bin/fengqiao', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'fengqiao-e2e-'))
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const password = 'fengqiao-2026'
let box
let passed = 0
let failed = 0

async function start(args, port) {
  const child = spawn(bin, [...args, '--listen', `127.0.0.1:${port}`], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', (d) => (out += d))
  return { child, output: () => out }
}
const ended = (p) => new Promise((r) => (p.child.exitCode !== null ? r() : p.child.once('exit', r)))

const ready = join(root, 'ready.json')
const demo = ['demo', '--data', join(root, 'demo'), '--once-ready-file', ready]
const port = Number(process.env.PORT ?? 20_000 + (process.pid % 20_000))
box = await start(demo, port)
await until('the demo is ready', () => existsSync(ready), 90_000)
const { url, logins } = JSON.parse(readFileSync(ready, 'utf8'))

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags })
const foreign = []
async function context(options = {}) {
  const c = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'zh-CN', ...options })
  c.setDefaultTimeout(15_000)
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

const desk = await context()
const kit = { url, password, logins, context, signIn, test, desk }
const wallBox = {
  freeze: (on) => box.child.kill(on ? 'SIGSTOP' : 'SIGCONT'),
  kill: async () => { box.child.kill('SIGKILL'); await ended(box) },
  start: async () => {
    box = await start(demo, port)
    await until('the server is back', async () => (await fetch(url + '/readyz').catch(() => null))?.ok, 30_000)
  },
}
const walks = {
  desk: () => deskTests(kit),
  mediation: () => mediationTests(kit),
  duty: () => dutyTests(kit),
  admin: () => adminTests(kit),
  look: () => lookTests(kit),
  wall: () => wallTests({ url, password, context, test, assert, until, box: wallBox }),
  setup: () => setupTests({ bin, root, port: port + 1, context, test, start, ended }),
}
// WALKS=desk,duty takes some of them while working on one.
const wanted = process.env.WALKS?.split(',') ?? Object.keys(walks)
for (const name of wanted) await walks[name]()

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
