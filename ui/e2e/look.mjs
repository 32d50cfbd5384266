// Every main page in English without a Chinese word of its own, and
// without serious faults of accessibility.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { assert, until } from './kit.mjs'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const pages = [
  ['duty', ['/app', '/app/new', '/app/records', '/app/search?q=a', '/app/duty', '/app/import', '/app/admin/health']],
  ['sysadmin', ['/app/admin/organisations', '/app/admin/calendar', '/app/admin/kinds', '/app/admin/displays', '/app/admin/roles']],
  ['secadmin', ['/app/admin/accounts']],
  ['auditor', ['/app/admin/audit']],
]

export async function lookTests({ url, context, signIn, test }) {
  await test('axe finds nothing serious on the main pages', async () => {
    const found = []
    for (const [user, paths] of pages) {
      const p = await signIn(await context({ bypassCSP: true }), user, '/app')
      await p.waitForSelector('.page')
      for (const path of paths) {
        await visit(p, url + path)
        found.push(...await faults(p, path))
        if (path === '/app/records') {
          await p.locator('.rows a').first().click()
          await p.waitForSelector('article')
          found.push(...await faults(p, 'record'))
          await p.locator('.actions .el-button').first().click()
          await p.waitForSelector('.step')
          await p.waitForTimeout(600) // it fades in, and fading text has no contrast yet
          found.push(...await faults(p, 'step'))
        }
      }
      await p.context().close()
    }
    const phone = await signIn(await context({ bypassCSP: true, viewport: { width: 390, height: 844 } }), 'village', '/m')
    await phone.waitForSelector('.phone')
    found.push(...await faults(phone, '/m'))
    await phone.goto(url + '/m#new')
    await phone.waitForSelector('#f-title')
    found.push(...await faults(phone, '/m#new'))
    await phone.context().close()
    assert(!found.length, found.join('\n     '))
  })

  await test('the interface is whole in English', async () => {
    const left = []
    for (const [user, paths] of pages) {
      const c = await context()
      await c.addInitScript(() => localStorage.setItem('lang', 'en'))
      const p = await signIn(c, user, '/app')
      await p.waitForSelector('.page')
      for (const path of paths) {
        await visit(p, url + path)
        left.push(...(await p.evaluate(chinese)).map((s) => `${path}: ${s}`))
      }
      await c.close()
    }
    assert(!left.length, left.slice(0, 12).join(' | '))
  })

  async function visit(p, address) {
    await p.goto(address)
    await p.waitForSelector('.page')
    await until('the page is loaded', async () => !(await p.locator('[aria-busy=true]').count()))
    await p.waitForTimeout(250)
  }
  async function faults(p, where) {
    await p.evaluate(axe)
    const { violations } = await p.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations'] }))
    return violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${where}: ${v.id} ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 140)).join(' ¦ ')}`)
  }
}

/** chinese lists what stands in Chinese in the frame, headings, labels and
 *  buttons. Names of people, places and matters stay as they are written. */
function chinese() {
  const own = 'nav a, nav p, h1, h2, h3, th, label, button:not(.facets button), .el-form-item__label, [role=tab], .tools, .bell b'
  const data = '.rows, .el-tree, td, .incoming, .onduty dd, .who, .brand b, .demo, .el-radio-group, .el-select__selected-item, .alarm, .list button'
  const seen = new Set()
  for (const e of document.querySelectorAll(own)) {
    if (e.closest(data) || e.textContent.trim() === '中文') continue
    const text = e.textContent.trim()
    if (/[\u4e00-\u9fff]/.test(text)) seen.add(text.slice(0, 40))
  }
  for (const e of document.querySelectorAll('input, textarea, [aria-label], [title]')) {
    for (const a of ['placeholder', 'aria-label', 'title']) {
      const text = e.getAttribute(a) ?? ''
      if (!e.closest(data) && /[\u4e00-\u9fff]/.test(text)) seen.add(`${a}=${text.slice(0, 40)}`)
    }
  }
  return [...seen]
}
