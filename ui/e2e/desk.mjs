// The duty officer's day: a call, the way of a matter, what is masked, two
// at one record, a session that ends, old matters from a table.
import { act, assert, choose, openMore, until } from './kit.mjs'

const most = 75 // keystrokes of a standard call (UI.md CON-2)

export async function deskTests({ url, password, logins, context, signIn, test, desk }) {
  let duty
  let recordURL = ''

  await test('the duty officer takes a call by keyboard alone', async () => {
    duty = await signIn(desk, 'duty', '/app')
    await duty.waitForSelector('.bench')
    let keys = 0
    const type = async (text) => { keys += text.length; await duty.keyboard.type(text) }
    const press = async (key) => { keys++; await duty.keyboard.press(key) }
    await press('Alt+n')
    await until('focus in the subject', () => duty.evaluate(() => document.activeElement?.id === 'f-title'))
    await type('古樟树枝条折断')
    await press('Tab')
    await type('fyc') // initials of 枫源村
    await until('the village is offered', async () => (await duty.locator('.el-select-dropdown__item:visible').allInnerTexts()).some((t) => t.includes('枫源村')))
    await press('Enter')
    await press('Tab')
    await type('msfw')
    await until('the type is offered', async () => (await duty.locator('.el-select-dropdown__item:visible').allInnerTexts()).some((t) => t.includes('民生服务')))
    await press('Enter')
    await press('Control+Enter')
    await duty.waitForURL(/\/app\/r\//)
    recordURL = duty.url()
    const number = await duty.locator('.head .number').innerText()
    assert(/枫事〔\d{4}〕\d{5}号/.test(number), `number ${number}`)
    assert((await duty.locator('.facts').first().innerText()).includes('枫源村'), 'the village is not kept')
    assert(keys <= most, `${keys} keystrokes`)
  })

  await test('it rings for a new matter until somebody takes note', async () => {
    await duty.goto(url + '/app')
    await duty.waitForSelector('.bench')
    const note = duty.getByRole('button', { name: '知道了' })
    if (await note.count()) await note.click()
    await until('the desk is calm', async () => !(await duty.locator('.arrivals').count()))
    const village = await signIn(await context({ viewport: { width: 390, height: 844 } }), 'village', '/m')
    await village.getByText('登记新事项').first().click()
    await village.fill('#f-title', '村口井盖缺失')
    await village.selectOption('#f-type', '01')
    await village.click('.btn.main')
    await village.waitForSelector('article')
    await village.context().close()
    const rings = async () => (await duty.locator('.arrivals').innerText({ timeout: 300 }).catch(() => '')).includes('村口井盖缺失')
    await until('the bell names it', rings)
    await note.click()
    await until('calm again', async () => !(await rings()))
    await duty.reload()
    await duty.waitForSelector('.bench')
    await duty.waitForTimeout(800)
    assert(!(await rings()), 'what was noted rings again')
  })

  await test('village → township → station → verified and closed', async () => {
    const village = await signIn(await context({ viewport: { width: 390, height: 844 } }), 'village', '/m')
    await village.getByText('登记新事项').first().click()
    await village.waitForSelector('#f-title')
    await village.fill('#f-title', '水渠盖板缺失')
    await village.selectOption('#f-type', '01')
    await village.click('.btn.main')
    await village.waitForSelector('article')
    const id = (await village.evaluate(() => location.hash)).slice(3)
    await village.context().close()
    await duty.goto(`${url}/app/r/${id}`)
    await duty.waitForSelector('article')
    await act(duty, '受理')
    await act(duty, '交办', () => choose(duty, 'f-to', 'zhzfd'))
    const station = await signIn(await context(), 'station', `/app/r/${id}`)
    await station.waitForSelector('article')
    await act(station, '签收')
    await act(station, '办结', async () => { await station.fill('#f-result', '已补装盖板') })
    await duty.waitForTimeout(1200)
    await duty.reload()
    await duty.waitForSelector('article')
    await act(duty, '核实通过')
    await act(duty, '结案')
    await until('closed', async () => (await duty.locator('article .head').first().innerText()).includes('已结案'))
    await station.context().close()
  })

  await test('a file is attached with progress and read back', async () => {
    await duty.goto(recordURL)
    await duty.waitForSelector('article')
    await duty.locator('.files input[type=file]').setInputFiles({ name: '现场.png', mimeType: 'image/png', buffer: png() })
    await until('the file', async () => (await duty.locator('.files').innerText()).includes('现场.png'))
    const [download] = await Promise.all([duty.waitForEvent('download'), duty.locator('.files a').first().click()])
    assert(download.suggestedFilename() === '现场.png', download.suggestedFilename())
    await duty.locator('.files input[type=file]').setInputFiles({ name: '假.png', mimeType: 'image/png', buffer: Buffer.from('<script>alert(1)</script>') })
    await until('a wrong type is refused', async () => (await duty.locator('.files .error').innerText().catch(() => '')).includes('假.png'))
  })

  await test('a masked name is revealed with a reason, and the auditor sees it', async () => {
    await duty.goto(url + '/app/search?q=' + encodeURIComponent('演示') + '&kind=event')
    await duty.waitForSelector('.found .rows a')
    await duty.locator('.found .rows a').first().click()
    await duty.waitForSelector('article')
    const before = await duty.locator('.facts').allInnerTexts()
    await duty.getByRole('button', { name: '查看全文' }).first().click()
    await duty.locator('.reveal .el-radio').first().click()
    await duty.locator('.reveal .el-button--primary').click()
    await until('the full value', async () => (await duty.locator('.facts .shown').count()) === 1)
    assert(String(before) !== String(await duty.locator('.facts').allInnerTexts()) && !(await duty.locator('.facts .shown').innerText()).includes('*'), 'it is still masked')
    const auditor = await signIn(await context(), 'auditor', '/app')
    await until('the reading in the audit', async () => (await auditor.locator('.el-table').innerText().catch(() => '')).includes('查看全文'))
    await auditor.context().close()
  })

  await test('two officers on one record: the second sees the change and repeats', async () => {
    const other = await desk.newPage()
    const amend = async (p, n) => {
      await p.bringToFront() // a page behind another draws no list
      await p.goto(recordURL)
      await p.waitForSelector('article')
      await openMore(p, '更正')
      await choose(p, 'f-which', '涉及人数')
      await p.fill('#f-people_count', String(n))
      await choose(p, 'f-reason', '录入有误')
    }
    await amend(duty, 3)
    await amend(other, 5)
    await other.keyboard.press('Control+Enter')
    await other.waitForSelector('.step', { state: 'detached' })
    await duty.bringToFront()
    await duty.keyboard.press('Control+Enter')
    await until('the change is shown', async () => (await duty.locator('.step').innerText()).includes('其他人刚刚办理过'))
    assert((await duty.inputValue('#f-people_count')) === '3', 'what was typed is gone')
    await duty.keyboard.press('Control+Enter')
    await duty.waitForSelector('.step', { state: 'detached' })
    await until('the repeated value', async () => /涉及人数\s*3/.test(await duty.locator('.facts').first().innerText()))
    await other.close()
  })

  await test('nothing typed is lost when the session ends or the page dies', async () => {
    await duty.goto(url + '/app/new')
    await duty.waitForSelector('#f-title')
    await duty.fill('#f-title', '会话过期也不丢')
    await choose(duty, 'f-type', '民生')
    await duty.waitForTimeout(600)
    await desk.clearCookies()
    await duty.keyboard.press('Control+Enter')
    await duty.waitForSelector('.backdrop input[type=password]')
    await duty.fill('.backdrop input[autocomplete=username]', 'duty')
    await duty.fill('.backdrop input[type=password]', password)
    await duty.keyboard.press('Enter')
    await duty.waitForURL(/\/app\/r\//)
    await until('the title', async () => (await duty.locator('h1').first().innerText()).includes('会话过期也不丢'))
    await duty.goto(url + '/app/new')
    await duty.waitForSelector('#f-title')
    await duty.fill('#f-title', '断电草稿')
    await duty.waitForTimeout(600)
    await duty.reload()
    await until('the draft is offered', async () => (await duty.locator('.note').allInnerTexts()).some((t) => t.includes('断电草稿')))
    await duty.getByRole('button', { name: '继续填写' }).first().click()
    await until('the draft is back', async () => (await duty.inputValue('#f-title')) === '断电草稿')
  })

  await test('a likely duplicate is shown while typing', async () => {
    await duty.goto(url + '/app/new')
    await duty.waitForSelector('#f-title')
    await duty.fill('#f-title', '古樟树枝条折断')
    await choose(duty, 'f-village', 'fyc')
    await choose(duty, 'f-type', '民生')
    await until('the earlier matter', async () => (await duty.locator('.hints').innerText()).includes('古樟树枝条折断'))
  })

  await test('old matters are imported and taken back; UTF-16 is refused by name', async () => {
    await duty.goto(url + '/app/import')
    await duty.waitForSelector('input[type=file]')
    await duty.locator('.imports .kind').click()
    await duty.getByRole('option', { name: '事件', exact: true }).click()
    const file = duty.locator('input[type=file]').first()
    await file.setInputFiles({ name: 'utf16.csv', mimeType: 'text/csv', buffer: Buffer.from('\ufeff编号,a\n', 'utf16le') })
    await until('UTF-16 is refused by name', async () => (await duty.locator('.error').first().innerText().catch(() => '')).includes('UTF-16'))
    const head = '编号,事件名称,事件大类,发生村（社区）\n'
    await file.setInputFiles({ name: 'wrong.csv', mimeType: 'text/csv', buffer: Buffer.from(head + '旧〔2018〕1号,旧事一,不存在的大类,枫源村\n') })
    await until('the error by row and column', async () => /第 2 行第 3 列/.test(await duty.locator('.imports').innerText()))
    const csv = head + '旧〔2018〕1号,旧事一,民生服务,枫源村\n旧〔2018〕2号,旧事二,民生服务,枫源村\n'
    await file.setInputFiles({ name: 'old.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) })
    await duty.getByRole('button', { name: '导入 2 行' }).click()
    await until('done', async () => (await duty.locator('.list').innerText()).includes('已导入'))
    await duty.goto(url + '/app/search?q=' + encodeURIComponent('旧事二'))
    await until('found', async () => { await duty.reload(); await duty.waitForSelector('.found', { timeout: 5000 }).catch(() => null); return duty.locator('.found .rows a').count() })
    assert(await duty.locator('.found mark').count(), 'no highlight')
    await duty.goto(url + '/app/import')
    await duty.getByRole('button', { name: '撤销' }).first().click()
    await duty.locator('.el-popconfirm:visible').getByRole('button', { name: '撤销' }).click()
    await until('undone', async () => (await duty.locator('.list').innerText()).includes('已撤销'))
  })

  await test('every demo login opens its page', async () => {
    for (const l of logins) {
      const c = await context(l.page === '/m' ? { viewport: { width: 390, height: 844 } } : {})
      const p = await signIn(c, l.username, l.page)
      await p.waitForSelector(l.page === '/m' ? '.phone' : '.page')
      await c.close()
    }
  })
}

/** png is the smallest picture there is. */
const png = () => Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')
