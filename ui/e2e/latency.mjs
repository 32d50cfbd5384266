// Measures how long what the API accepted takes to be drawn on the wall: a
// real box, the demo township, a real browser. Both ends are read from the
// clock of one page, so that no two clocks are compared.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const bin = process.env.FENGQIAO ?? fileURLToPath(new URL('../../bin/fengqiao', import.meta.url))
const port = process.env.PORT ?? '24010'
const rounds = Number(process.env.ROUNDS ?? 60)
const root = mkdtempSync(join(tmpdir(), 'fengqiao-latency-'))
const ready = join(root, 'ready.json')
const box = spawn(bin, ['demo', '--data', join(root, 'demo'), '--once-ready-file', ready, '--listen', `127.0.0.1:${port}`], { stdio: 'ignore' })
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] })
try {
  for (let n = 0; !existsSync(ready); n++) {
    if (n > 900) throw new Error('the demo does not start')
    await new Promise((r) => setTimeout(r, 100))
  }
  const { url } = JSON.parse(readFileSync(ready, 'utf8'))
  const page = await browser.newPage({ viewport: { width: 1920, height: 1080 } })
  await page.goto(url + '/app')
  await page.fill('input[autocomplete=username]', 'duty')
  await page.fill('input[type=password]', 'fengqiao-2026')
  await Promise.all([page.waitForResponse((r) => r.url().endsWith('/api/v1/session') && r.request().method() === 'POST' && r.ok()), page.keyboard.press('Enter')])
  await page.goto(url + '/wall')
  await page.waitForSelector('.figures b')
  const seen = await page.evaluate(measure, rounds)
  const line = (name, all) => {
    all.sort((a, b) => a - b)
    const at = (p) => Math.round(all[Math.min(all.length - 1, Math.floor(all.length * p))])
    console.log(`| ${name} | ${all.length} | ${at(0.5)} | ${at(0.99)} |`)
  }
  console.log('| accepted by the API → drawn on the wall | n | p50 ms | p99 ms |\n|---|---|---|---|')
  line('alarm', seen.alarms)
  line('anything else', seen.events)
} finally {
  await browser.close()
  box.kill('SIGTERM')
  await new Promise((r) => (box.exitCode !== null || box.signalCode ? r() : box.once('exit', r)))
  rmSync(root, { recursive: true, force: true })
}

/** measure runs in the wall's own page. */
async function measure(rounds) {
  const { csrf } = await (await fetch('/api/v1/session')).json()
  const { items } = await (await fetch('/api/v1/organisations')).json()
  const village = items.find((o) => o.level === 'village').code
  // send gives the time at which the API said yes.
  const send = async (path, body) => {
    const r = await fetch('/api/v1' + path, { method: 'POST', body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf, 'Idempotency-Key': crypto.randomUUID() } })
    const accepted = performance.now()
    if (!r.ok) throw new Error(`${path}: ${r.status} ${await r.text()}`)
    return accepted
  }
  const report = (urgency) => send('/records', { kind: 'event', step: 'register', fields: { title: '测量（虚构）', type: '01', urgency, village, scale: '01' } })
  // drawn resolves with the time of the frame in which the page fits.
  const drawn = (fits) => new Promise((done, fail) => {
    const limit = setTimeout(() => fail(new Error('never drawn')), 20_000)
    const look = () => {
      if (!fits()) return
      watch.disconnect()
      clearTimeout(limit)
      requestAnimationFrame(() => requestAnimationFrame(done)) // the frame after it: it has been drawn
    }
    const watch = new MutationObserver(look)
    watch.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true })
    look()
  })
  const pause = (ms) => new Promise((r) => setTimeout(r, ms))
  const reported = () => document.querySelector('.figures b').textContent.trim()
  const ringing = () => document.querySelector('section.alarm') !== null
  const clear = async () => {
    const { items } = await (await fetch('/api/v1/alarms')).json()
    for (const a of items) await send(`/records/${a.id}/steps/clear`, { seen: a.version, inputs: { reason: 'handled' } })
    await drawn(() => !ringing())
  }
  const out = { alarms: [], events: [] }
  await clear()
  for (let n = 0; n < rounds; n++) {
    await pause(Math.random() * 1500) // any phase of the wall's own rhythm
    const before = reported()
    const shown = drawn(() => reported() !== before)
    const accepted = await report('normal')
    out.events.push(Math.max(0, (await shown) - accepted))
  }
  for (let n = 0; n < rounds; n++) {
    await pause(Math.random() * 1500)
    const shown = drawn(ringing)
    const accepted = await report('emergency')
    out.alarms.push(Math.max(0, (await shown) - accepted))
    await clear()
  }
  return out
}
