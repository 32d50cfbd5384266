// What every walk through the product needs: patience, people, and hands
// for the controls of the console.
export function assert(ok, what) {
  if (!ok) throw new Error(what)
}
export async function until(what, f, ms = 15_000) {
  const end = Date.now() + ms
  for (;;) {
    const v = await f()
    if (v) return v
    if (Date.now() > end) throw new Error(`timeout: ${what}`)
    await new Promise((r) => setTimeout(r, 100))
  }
}

const patience = 10_000

/** choose takes a value of a list: what fits the typed words, by Enter. */
export async function choose(p, id, words, within = p) {
  const control = within.locator(`[id="${id}"]`)
  await control.waitFor({ timeout: patience })
  if ((await control.getAttribute('role')) === 'radiogroup') return control.getByText(words, { exact: true }).click()
  const first = p.locator('.el-select-dropdown__item:visible').first()
  // A list that lost the focus to a redrawn page is opened again.
  await until(`the choices of ${id}`, async () => {
    await control.focus()
    await control.fill('')
    await control.fill(words)
    return first.waitFor({ timeout: 2_000 }).then(() => true, () => false)
  }, patience)
  if (/[\u4e00-\u9fff]/.test(words)) await until(`${words} among the choices`, async () => (await first.innerText()).includes(words), patience)
  else await p.waitForTimeout(500) // until the list follows what was typed
  await p.keyboard.press('Enter')
  if (await control.evaluate((e) => !!e.closest('.el-select')?.querySelector('.el-tag'))) await p.keyboard.press('Tab')
}
/** write fills a text, a number, a date or a time. */
export async function write(p, id, text) {
  const control = p.locator(`[id="${id}"]`)
  await control.fill(text, { timeout: patience })
  if (/^\d{4}-\d\d-\d\d/.test(text)) await p.keyboard.press('Enter')
}
/** tick sets a box of the open dialog by its words. */
export const tick = (p, words) => p.locator('.step .el-checkbox', { hasText: words }).first().click({ timeout: patience })

/** act takes a step of the open record and fills what is asked. */
export async function act(p, step, fill = async () => {}) {
  await p.locator('.actions').getByRole('button', { name: step, exact: true }).click({ timeout: patience })
  await confirm(p, fill)
}
/** more takes a step that stands in the menu of further steps. */
export async function more(p, step, fill = async () => {}) {
  await openMore(p, step)
  await confirm(p, fill)
}
export async function openMore(p, step) {
  await p.getByRole('button', { name: '更多操作' }).click({ timeout: patience })
  await p.locator('.el-dropdown-menu__item:visible', { hasText: step }).first().click({ timeout: patience })
  await p.waitForSelector('.step', { timeout: patience })
}
async function confirm(p, fill) {
  await p.waitForSelector('.step', { timeout: patience })
  await fill()
  await p.keyboard.press('Control+Enter')
  try {
    await p.waitForSelector('.step', { state: 'detached', timeout: patience })
  } catch {
    throw new Error(`refused: ${(await p.locator('.step .error, .step .el-form-item__error').allInnerTexts()).join(' ')}`)
  }
}
