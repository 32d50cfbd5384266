// One mediation case by one mediator, from intake to the archived dossier,
// every paper opened on the way.
import { act, assert, choose, tick, until, write } from './kit.mjs'

const day = new Date(Date.now() + 8 * 3600_000).toISOString().slice(0, 10) // today in UTC+8

export async function mediationTests({ context, signIn, test }) {
  let p
  const doc = (type, key, n = 0) => `f-documents-${type}-${n}-${key}`
  /** file makes one document of the dossier. */
  async function file(title, fill) {
    await p.getByRole('button', { name: `制作 ${title}`, exact: true }).click()
    await p.waitForSelector('.step')
    await fill()
    await p.keyboard.press('Control+Enter')
    await p.waitForSelector('.step', { state: 'detached' }).catch(async () => {
      throw new Error(`${title}: ${(await p.locator('.step .error, .step .el-form-item__error').allInnerTexts()).join(' ')}`)
    })
  }

  await test('a mediation case goes from intake to the archived dossier', async () => {
    p = await signIn(await context(), 'mediator', '/app/new/mediation')
    await p.waitForSelector('#f-title')
    await p.fill('#f-title', '通行纠纷（测试）')
    await choose(p, 'f-type', '通风采光')
    await choose(p, 'f-source', '当事人申请')
    await choose(p, 'f-committee', '枫桥镇人民调解委员会')
    await choose(p, 'f-assigned', '演示调解员')
    await p.fill('#f-facts', '双方因巷道通行发生争执。')
    await p.fill('#f-claims', '要求恢复通行。')
    for (const [n, name, role] of [[0, '钱某某', '申请人'], [1, '孙某某', '被申请人']]) {
      await p.getByRole('button', { name: '添加当事人' }).click()
      await p.fill(`#f-parties-${n}-name`, name)
      await choose(p, `f-parties-${n}-role`, role)
      await choose(p, `f-parties-${n}-consent`, '同意调解')
    }
    await p.keyboard.press('Control+Enter')
    await p.waitForURL(/\/app\/r\//)
    await p.waitForSelector('.dossier')
    await act(p, '受理', () => choose(p, 'f-violence_check', '未发现'))
    assert(/枫人调〔\d{4}〕\d{4}号|人调〔\d{4}〕\d{4}号/.test(await p.locator('.head .number').innerText()), 'no case number')

    await file('人民调解申请书', async () => {
      assert((await p.inputValue(`[id="${doc('application', 'facts')}"]`)).includes('巷道'), 'known facts are asked again')
      await tick(p, '自愿接受调解')
      await write(p, doc('application', 'applied_on'), day)
    })
    await file('当事人权利义务告知书', async () => { await write(p, doc('rights_notice', 'signed_by'), '钱某某'); await write(p, doc('rights_notice', 'given_on'), day) })
    await file('当事人身份证明', async () => { await write(p, doc('identity_proof', 'of'), '钱某某'); await write(p, doc('identity_proof', 'checked_on'), day) })
    await act(p, '记录调解', async () => {
      await p.locator('.step').getByRole('button', { name: '添加调解经过' }).click()
      await write(p, 'f-sessions-0-held_at', `${day} 00:01`)
      await choose(p, 'f-sessions-0-result', '达成协议')
    })
    await file('人民调解记录', async () => {
      await write(p, doc('mediation_record', 'held_at'), `${day} 00:01`)
      await write(p, doc('mediation_record', 'place'), '调解室')
      await write(p, doc('mediation_record', 'content'), '双方同意恢复通行。')
      await choose(p, doc('mediation_record', 'result'), '达成协议')
    })
    await file('人民调解协议书', async () => {
      await write(p, doc('agreement', 'terms'), '三日内恢复通行。')
      await write(p, doc('agreement', 'manner'), '当场履行')
      await write(p, doc('agreement', 'copies'), '3')
      await write(p, doc('agreement', 'signed_on'), day)
    })
    await act(p, '达成书面协议', async () => {
      for (const n of [0, 1]) await p.locator('.step .item').nth(n).locator('.el-checkbox', { hasText: '已在协议上签字' }).click()
      await tick(p, '调解员已签名')
      await tick(p, '已加盖调委会印章')
      await write(p, 'f-agreed_on', day)
      await choose(p, 'f-performance_kind', '即时履行')
    })
    await act(p, '履行完毕', () => write(p, 'f-performed_on', day))
    await act(p, '回访', async () => {
      await write(p, doc('follow_up', 'visited_on'), day)
      await write(p, doc('follow_up', 'visitor'), '演示调解员')
      await choose(p, doc('follow_up', 'result'), '已履行')
      await write(p, doc('follow_up', 'content'), '通行恢复，双方满意。')
    })
    await act(p, '结案')
    assert((await p.locator('.dossier').innerText()).includes('材料不齐'), 'the gate does not speak')
    await file('封底', async () => { await write(p, doc('back_cover', 'compiled_by'), '演示调解员'); await write(p, doc('back_cover', 'compiled_on'), day); await write(p, doc('back_cover', 'pages'), '12') })
    await act(p, '立卷归档', () => choose(p, 'f-retention', '永久'))
    await until('archived', async () => (await p.locator('.head').first().innerText()).includes('已归档'))
    assert((await p.locator('.dossier').innerText()).includes('材料齐全'), 'the dossier is not complete')
  })

  await test('every paper of the dossier opens, laid out for A4', async () => {
    const links = await p.locator('article a[href*="/papers/"]').evaluateAll((list) => list.map((a) => a.href))
    assert(links.length >= 15, `${links.length} papers`)
    const paper = await p.context().newPage()
    for (const link of links) {
      const r = await paper.goto(link)
      assert(r.ok(), `${link} answers ${r.status()}`)
      assert((await paper.locator('h1').count()) >= 1, `${link} has no title`)
    }
    const pdf = await paper.pdf({ preferCSSPageSize: true })
    assert(/\/MediaBox\s*\[\s*0 0 59[45]\S* 84[12]/.test(pdf.toString('latin1')), 'it is not A4')
    await p.context().close()
  })
}
