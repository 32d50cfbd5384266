// A new box is founded in the browser, up to the printed sheet.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { assert, until } from './kit.mjs'

export async function setupTests({ bin, root, port, context, test, start, ended }) {
  await test('a new box is founded in the browser', async () => {
    const dir = join(root, 'fresh')
    const init = spawn(bin, ['init', '--data', dir], { stdio: 'ignore' })
    await new Promise((r) => init.once('exit', r))
    const fresh = await start(['serve', '--data', dir, '--log', 'error'], port)
    try {
      const code = (await until('the setup code', () => /setup code: (\S+)/.exec(fresh.output()), 20_000))[1]
      const p = await (await context()).newPage()
      await p.goto(`http://127.0.0.1:${port}/setup`)
      const next = () => p.getByRole('button', { name: '下一步' }).click()
      await p.getByLabel('设置码').fill(code)
      await next()
      await p.getByLabel('单位代码').fill('330681109')
      await p.getByLabel('单位名称').fill('枫桥镇')
      await next()
      await p.getByText('本机时间', { exact: true }).waitFor()
      assert(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/.test(await p.locator('.clock').innerText()), 'no time to check')
      await p.getByText('我已核对').click()
      assert(await p.getByRole('button', { name: '下一步' }).isDisabled(), 'one may go on without a time source')
      await p.getByText('时间服务器（县中心').click()
      await p.getByLabel('服务器地址').fill('127.0.0.1:9')
      await p.getByRole('button', { name: '试一试' }).click()
      await p.getByText('没有应答').or(p.getByText('有内容不符合要求')).first().waitFor()
      await p.getByText('本机自带时钟').click()
      await next()
      const users = ['sys01', 'sec01', 'aud01']
      for (let i = 0; i < 3; i++) {
        await p.getByLabel('用户名').nth(i).fill(users[i])
        await p.getByLabel('姓名').nth(i).fill(`管理员${i}`)
        await p.getByLabel('密码', { exact: true }).nth(i).fill('correct-horse-9')
      }
      await p.getByRole('button', { name: '完成设置' }).click()
      await p.waitForSelector('.sheet')
      const secret = await p.locator('p.key').innerText()
      assert(secret.startsWith('AGE-S'), 'no key on the sheet')
      assert((await p.locator('.sheet tbody tr').count()) >= 5, 'no codes on the sheet')
      const pdf = await p.pdf({ preferCSSPageSize: true })
      const pages = pdf.toString('latin1').match(/\/Type\s*\/Page\b/g).length
      assert(pages === 1, `the sheet takes ${pages} pages`)

      const sheetCode = (await p.locator('.sheet tbody tr').first().locator('td').nth(1).innerText()).trim()
      const night = await (await context()).newPage()
      await night.goto(`http://127.0.0.1:${port}/app`)
      await night.getByRole('button', { name: '应急登录' }).click()
      await night.getByLabel('应急代码').fill(sheetCode)
      await night.getByLabel('姓名').fill('值守人')
      await night.keyboard.press('Enter')
      await until('the rights of a duty officer', async () => (await night.locator('.top').innerText().catch(() => '')).includes('应急登录'))
      await night.context().close()

      const admin = await (await context()).newPage()
      await admin.goto(`http://127.0.0.1:${port}/app`)
      await admin.getByLabel('用户名').fill('sys01')
      await admin.getByLabel('密码', { exact: true }).fill('correct-horse-9')
      await admin.keyboard.press('Enter')
      await admin.getByRole('menuitem', { name: '时间源' }).or(admin.getByRole('link', { name: '时间源' })).first().click()
      assert(await admin.getByRole('radio', { name: '本机自带时钟' }).isChecked(), 'the wizard\'s choice does not hold')
      await admin.getByText('时间服务器（县中心').click()
      await admin.getByLabel('服务器地址').fill('127.0.0.1:9')
      await admin.getByRole('button', { name: '保存并立即核对' }).click()
      await admin.getByText('没有应答').waitFor()
      await admin.context().close()
      await p.context().close()
    } finally {
      fresh.child.kill('SIGTERM')
      await ended(fresh)
    }
  })
}
