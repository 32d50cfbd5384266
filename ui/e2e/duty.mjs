// The log and the handover, signed by two persons.
import { assert, choose, until, write } from './kit.mjs'

export async function dutyTests({ url, context, signIn, test }) {
  await test('a line of the log is written; the shift is handed over with two signatures', async () => {
    const duty = await signIn(await context(), 'duty', '/app/duty')
    await duty.waitForSelector('.handover')
    await duty.getByRole('button', { name: '记一条日志' }).click()
    await choose(duty, 'f-kind', '来电')
    await write(duty, 'f-content', '县中心询问汛情，已答复。')
    await duty.keyboard.press('Control+Enter')
    await until('the dialog is closed', async () => !(await duty.locator('#f-content').count()))

    for (;;) { // an alarm that nobody took note of forbids the handover
      const raised = duty.locator('.bell').getByRole('button', { name: '确认', exact: true })
      if (!(await raised.count())) break
      await raised.first().click()
      await duty.waitForTimeout(700)
    }
    await until('no alarm stands', async () => (await duty.locator('.handover').innerText()).includes('可以交接'))
    const on = duty.getByRole('button', { name: '上岗' })
    if (await on.count()) await on.click()
    await duty.locator('#handover-summary').fill('汛情平稳，三件紧急事项在办。')
    await duty.locator('.handover .el-checkbox').click()
    await duty.getByRole('button', { name: '签字交班' }).click()
    await until('signed by the one who leaves', async () => (await duty.locator('.handover').innerText()).includes('交班人已签字'))
    await duty.locator('.handover .el-checkbox').click()
    await duty.getByRole('button', { name: '接班签收' }).click()
    await until('nobody takes over from himself', async () => (await duty.locator('.handover .error').innerText().catch(() => '')).includes('不能自己接班'))
    const href = await duty.locator('.handover .row a[href*="/r/"]').getAttribute('href')

    const next = await signIn(await context(), 'duty2', '/app/duty')
    await next.waitForSelector('.handover')
    await next.locator('.handover .el-checkbox').click()
    await next.getByRole('button', { name: '接班签收' }).click()
    await until('the handover is over', async () => !(await next.getByRole('button', { name: '接班签收' }).count()))
    await next.goto(url + href)
    await until('both signatures', async () => (await next.locator('.head').first().innerText()).includes('已交接'))
    const timeline = await next.locator('.timeline').innerText()
    assert(timeline.includes('演示值班员乙') && timeline.includes('交班'), timeline)
    const sheet = await next.context().request.get(url + await next.locator('a[href*="/papers/handover"]').getAttribute('href'))
    assert(sheet.ok(), `the handover sheet answers ${sheet.status()}`)
    await next.context().close()
    await duty.context().close()
  })
}
