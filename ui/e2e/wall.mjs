// The wall as it hangs: a display of its own right, nobody signed in.
import axe from 'axe-core'

const township = '330681109'
const village = '330681109290' // 枫源村

/** wallTests walks the wall of a running demo. box has stop, kill, freeze
 *  and start; context and test are the runner's own. */
export async function wallTests({ url, password, context, test, assert, until, box }) {
  const duty = await person('duty')
  const admin = await person('sysadmin')
  const wall = await (await context({ viewport: { width: 1920, height: 1080 } })).newPage()
  const shown = () => wall.evaluate(() => document.body.innerText)

  /** person signs in and speaks to the box as the console does. */
  async function person(username) {
    let headers = {}
    const call = async (method, path, body, type = 'application/json') => {
      const r = await fetch(`${url}/api/v1${path}`, { method, body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body), headers: { ...headers, 'Content-Type': type, 'Idempotency-Key': `wall-${Math.random().toString(36).slice(2)}` } })
      const text = await r.text()
      return { status: r.status, headers: r.headers, body: text ? JSON.parse(text) : undefined }
    }
    const s = await call('POST', '/session', { username, password })
    headers = { Cookie: s.headers.getSetCookie().map((c) => c.split(';')[0]).join('; '), 'X-CSRF-Token': s.body.csrf }
    return call
  }
  const report = (fields) => duty('POST', '/records', { kind: 'event', fields: { type: '01', village, ...fields } })
  const acknowledge = async () => {
    for (const a of (await duty('GET', '/alarms')).body.items) {
      if (a.state === 'raised') await duty('POST', `/records/${a.id}/steps/acknowledge`, { seen: a.version })
    }
  }

  await test('a display shows the wall by its own right, and no longer when it is taken away', async () => {
    await wall.goto(`${url}/wall`)
    await wall.getByText('还没有授权').waitFor()
    const extra = (await admin('POST', '/displays', { name: '会议室' })).body
    const display = (await admin('POST', '/displays', { name: '大厅' })).body
    await wall.goto(url + extra.url)
    await wall.waitForSelector('.figures')
    await admin('DELETE', `/displays/${extra.id}`)
    await report({ title: '触发刷新' })
    await wall.getByText('还没有授权').waitFor()
    assert(!(await wall.locator('.figures').count()), 'figures stay on a display without a right')
    await wall.goto(url + display.url)
    await wall.waitForSelector('.figures')
    const beat = await until('the wall reports itself', async () => (await duty('GET', '/health')).body.walls.find((w) => w.name.startsWith('大厅')))
    assert(beat.layout === 'normal' && ['on', 'blocked'].includes(beat.audio), JSON.stringify(beat))
  })

  await test('an event comes to the wall by itself, without text or names', async () => {
    await wall.evaluate(() => { window.untouched = true })
    const before = Number(await wall.locator('.figures b').first().innerText())
    await report({ title: '古樟树枝条折断', urgency: 'urgent', 'people/0/name': '王小明', 'people/0/phone': '13800001234' })
    await until('the figure of today', async () => Number(await wall.locator('.figures b').first().innerText()) > before, 5000)
    const first = await wall.locator('.live li').first().innerText()
    assert(first.includes('枫源村') && first.includes('紧急') && first.includes('民生服务'), `the newest line says ${first}`)
    const text = await shown()
    for (const personal of ['古樟', '王', '138', '演示值班', '演示领导']) assert(!text.includes(personal), `${personal} stands on the wall`)
    assert(/演\*/.test(await wall.locator('.duty').innerText()), 'who is on duty is not masked')
    const asOf = await wall.locator('.panel .asof').allInnerTexts()
    assert(asOf.length === await wall.locator('.panel').count() && asOf.every((t) => /\d\d:\d\d:\d\d/.test(t)), `a panel has no time: ${asOf}`)
  })

  await test('the picture fits every wall and reads from eight metres', async () => {
    for (const [width, height] of [[3840, 2160], [1366, 768], [3840, 1080], [1920, 1080]]) {
      await wall.setViewportSize({ width, height })
      await until(`map and charts at ${width}x${height}`, () => wall.evaluate(() => parseFloat(document.documentElement.style.getPropertyValue('--u')) === Math.min(innerHeight / 1080, innerWidth / 1440)
        && [...document.querySelectorAll('canvas')].filter((c) => c.width && c.height).length >= 3))
      const seen = await wall.evaluate(() => {
        const sizes = []
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
        while (walker.nextNode()) {
          const at = walker.currentNode.parentElement
          if (walker.currentNode.textContent.trim() && at.offsetParent) sizes.push([parseFloat(getComputedStyle(at).fontSize), walker.currentNode.textContent])
        }
        const panels = [...document.querySelectorAll('.panel')].map((p) => p.getBoundingClientRect())
        return {
          over: [document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight],
          smallest: sizes.sort((a, b) => a[0] - b[0])[0],
          outside: panels.filter((r) => r.left < 0 || r.top < 0 || r.right > innerWidth + 1 || r.bottom > innerHeight + 1).length,
        }
      })
      assert(seen.over[0] <= 0 && seen.over[1] <= 0 && !seen.outside, `${width}x${height} overflows: ${JSON.stringify(seen)}`)
      assert(seen.smallest[0] >= 26 * (height / 1080) - 0.1, `${width}x${height}: ${seen.smallest}`)
    }
    await wall.evaluate(axe.source)
    const found = await wall.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'] }))
    assert(!found.violations.length, found.violations.map((v) => `${v.id}: ${v.nodes[0].html}`).join(' '))
  })

  await test('an emergency rings until the console acknowledges it', async () => {
    await acknowledge()
    await until('the wall is calm', async () => !(await wall.locator('.alarm').count()))
    assert(await wall.getByText('声音未启用').count(), 'blocked sound is not said')
    await report({ title: '仓库冒烟', urgency: 'emergency' })
    await until('the alarm', async () => /特急.*枫源村/s.test(await wall.locator('.alarm').innerText().catch(() => '')), 5000)
    assert(!(await shown()).includes('冒烟'), 'free text stands in the alarm')
    await wall.mouse.click(960, 700) // a touch allows sound
    await until('the sound', async () => (await wall.locator('.wall').getAttribute('data-sound')) === 'ringing')
    assert(!(await wall.getByText('声音未启用').count()), 'sound is still said to be off')
    const desk = await (await context()).newPage()
    await desk.goto(`${url}/app`)
    await desk.fill('input[autocomplete=username]', 'duty')
    await desk.fill('input[type=password]', password)
    await desk.keyboard.press('Enter')
    await desk.getByRole('button', { name: '确认', exact: true }).first().click()
    await until('the wall is calm again', async () => !(await wall.locator('.alarm').count()), 5000)
    assert(await wall.locator('.wall').getAttribute('data-sound') === 'on', 'it still rings')
    assert(await wall.getByText('处置中告警').count(), 'what is being handled is not counted')
    await desk.context().close()
  })

  await test('outlines of a GeoJSON file change the map; a wrong file is refused with a sentence', async () => {
    const map = () => wall.locator('.map').getAttribute('data-map')
    assert(await map() === 'schematic', 'the map begins schematic')
    const villages = (await admin('GET', '/organisations')).body.items.filter((o) => o.level === 'village' && o.parent === township && o.lng)
    const square = (o, side = 0.01) => [[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]].map(([x, y]) => [o.lng / 1e6 + x * side, o.lat / 1e6 + y * side])
    const file = (type, f) => JSON.stringify({ type: 'FeatureCollection', features: villages.map((o) => ({ type: 'Feature', properties: { name: o.name, contact: '李四 13900001111' }, geometry: { type, coordinates: f(o) } })) })
    const wrong = await admin('POST', '/outlines', file('Point', (o) => [o.lng / 1e6, o.lat / 1e6]), 'application/geo+json')
    assert(wrong.status === 422 && JSON.stringify(wrong.body).includes('只接受面'), `points are taken: ${JSON.stringify(wrong.body)}`)
    const taken = await admin('POST', '/outlines', file('Polygon', (o) => [square(o)]), 'application/geo+json')
    assert(taken.status === 200 && taken.body.areas === villages.length && taken.body.missing.length === 0, JSON.stringify(taken.body))
    await until('the outlines', async () => (await map()) === 'outlines', 5000)
    assert(!JSON.stringify(await wall.evaluate(() => fetch('/api/v1/wall/outlines').then((r) => r.json()))).includes('李四'), 'properties of the file reach the wall')
    assert((await admin('DELETE', '/outlines')).status === 204, 'not removed')
    await until('the schematic map', async () => (await map()) === 'schematic', 5000)
  })

  await test('figures turn grey when the box hangs, and live again when it answers', async () => {
    const page = await wall.context().newPage()
    await page.clock.install()
    await page.goto(`${url}/wall`)
    await page.waitForSelector('.figures')
    box.freeze(true)
    try {
      await page.clock.runFor(35_000)
      await page.locator('.bar.lag').waitFor()
      assert(!(await page.locator('.panel.stale').count()), 'grey after half a minute')
      await page.clock.runFor(40_000)
      await page.locator('.bar.cut').waitFor()
      assert(/断开 自 \d\d:\d\d:\d\d/.test(await page.locator('.bar.cut').innerText()), 'it does not say since when')
      assert(await page.locator('.panel.stale').count() === await page.locator('.panel').count(), 'a panel is not grey')
    } finally {
      box.freeze(false)
    }
    await until('fresh figures', async () => {
      await page.clock.runFor(1000)
      return !(await page.locator('.bar, .panel.stale').count())
    }, 20_000)
    await page.close()
  })

  await test('the wall outlives a restart untouched', async () => {
    await box.kill()
    await wall.getByText('正在重连').waitFor()
    assert(await wall.locator('.figures b').count() === 4, 'the last figures are gone')
    await box.start()
    await wall.getByText('● 实时').waitFor({ timeout: 20_000 })
    const before = Number(await wall.locator('.figures b').first().innerText())
    await report({ title: '重启后的事' })
    await until('news after the restart', async () => Number(await wall.locator('.figures b').first().innerText()) > before)
    assert(await wall.evaluate(() => window.untouched), 'the page was loaded again')
  })
  await wall.context().close()
}
