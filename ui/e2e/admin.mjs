// What the administrators do: a year of the calendar, a kind by YAML,
// accounts, walls.
import { readFileSync } from 'node:fs'
import { assert, until } from './kit.mjs'

const year = JSON.stringify({
  year: 2027,
  papers: ['https://www.gov.cn/zhengce/2027'],
  days: [
    { name: '元旦', date: '2027-01-01', isOffDay: true },
    { name: '元旦', date: '2027-01-02', isOffDay: true },
    { name: '春节', date: '2027-02-06', isOffDay: true },
    { name: '春节', date: '2027-02-20', isOffDay: false },
  ],
})
const kind = readFileSync(new URL('../../node/catalog/testdata/bench.yaml', import.meta.url), 'utf8')

export async function adminTests({ url, context, signIn, test }) {
  let admin

  await test('a year of the calendar is imported and shown day by day', async () => {
    admin = await signIn(await context(), 'sysadmin', '/app/admin/calendar')
    await admin.waitForSelector('.months')
    await admin.locator('input[type=file]').setInputFiles({ name: '2027.json', mimeType: 'application/json', buffer: Buffer.from('{"year": 2027, "days": [{"date": "2027-13-40"}]}') })
    await until('a wrong file is refused', async () => (await admin.locator('.error').innerText().catch(() => '')).length > 5)
    await admin.locator('input[type=file]').setInputFiles({ name: '2027.json', mimeType: 'application/json', buffer: Buffer.from(year) })
    await until('the year', async () => (await admin.locator('.head').last().innerText()).includes('2027'))
    await until('its days', async () => (await admin.locator('.months td.off.special').count()) === 3 && (await admin.locator('.months td.work.special').count()) === 1)
  })

  await test('a wrong kind is refused with its line; a right one is adopted and used', async () => {
    await admin.goto(url + '/app/admin/kinds')
    await admin.waitForSelector('textarea')
    await admin.fill('textarea', kind.replace('type: text', 'type: colour'))
    await admin.getByRole('button', { name: '检查', exact: true }).click()
    const line = kind.split('\n').findIndex((l) => l.includes('type: text')) + 1
    await until('line and reason', async () => (await admin.locator('.problems').innerText().catch(() => '')).includes(`第 ${line} 行`))
    await admin.fill('textarea', kind)
    await admin.getByRole('button', { name: '检查', exact: true }).click()
    await until('correct', async () => (await admin.locator('.yaml').innerText()).includes('没有错误'))
    await admin.getByRole('button', { name: '启用', exact: true }).click()
    await until('adopted', async () => (await admin.locator('.yaml').innerText()).includes('已启用'))
    const grid = await signIn(await context({ viewport: { width: 390, height: 844 } }), 'grid', '/m#new')
    await grid.selectOption('#p-kind', { label: '长椅报修' })
    await grid.fill('#f-title', '樟树下的长椅')
    await grid.selectOption('#f-damage', { label: '木板损坏' })
    await grid.click('.btn.save')
    await grid.waitForSelector('article')
    assert(/椅〔\d{4}〕\d{3}号/.test(await grid.locator('header.card').innerText()), 'no record of the new kind')
    await grid.context().close()
  })

  await test('an account is made, signs in, sets a password of its own', async () => {
    const security = await signIn(await context(), 'secadmin', '/app/admin/accounts')
    await security.getByRole('button', { name: '新建账号' }).click()
    await security.fill('#acc-user', 'newduty')
    await security.fill('#acc-name', '新值班员')
    await security.locator('.el-dialog').getByRole('button', { name: '保存' }).click()
    const first = await security.locator('.password').innerText()
    await until('it is listed', async () => (await security.locator('.el-table').innerText()).includes('newduty'))
    const c = await context()
    const p = await c.newPage()
    await p.goto(url + '/app')
    await p.fill('input[autocomplete=username]', 'newduty')
    await p.fill('input[autocomplete=current-password]', first)
    await p.keyboard.press('Enter')
    await p.locator('input[autocomplete=new-password]').first().fill('my-own-word-7')
    await p.locator('input[autocomplete=new-password]').last().fill('my-own-word-7')
    await p.keyboard.press('Enter')
    await p.waitForSelector('.bench')
    await c.close()
    await security.context().close()
  })

  await test('organisations stand as a tree; divisions are imported', async () => {
    await admin.goto(url + '/app/admin/organisations')
    await admin.waitForSelector('.el-tree')
    const csv = 'code,name,level,parent,lng,lat\n330681109,枫桥镇,township,330681,120.4,29.8\n330681109990,测试村,village,330681109,120.41,29.81\n'
    await admin.locator('input[type=file]').setInputFiles({ name: 'divisions.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) })
    await until('the counts', async () => (await admin.locator('.note').innerText().catch(() => '')).includes('新增 1'))
    await until('in the tree', async () => (await admin.locator('.el-tree').innerText()).includes('测试村'))
    await admin.context().close()
  })
}
