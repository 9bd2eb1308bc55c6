import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { humanMs } from '../../src/core/human-time.ts'
import { type Plane, startPlane } from '../e2e/plane.ts'
import { seeOff, startBrowser, Visitor } from './browser.ts'

let plane: Plane
let browser: Browser
const visitors: Visitor[] = []

beforeAll(async () => {
  plane = await startPlane({ scripts: { quick: {} }, config: { engineRestarts: 0 } })
  browser = await startBrowser()
})
afterEach(() => seeOff(visitors))
afterAll(async () => {
  await browser?.close()
  await plane?.end()
})

async function visit(path: string, { url, token }: Pick<Plane, 'url' | 'token'> = plane): Promise<Page> {
  const visitor = await Visitor.arrive(browser, { url, token })
  visitors.push(visitor)
  await visitor.page.goto(path)
  return visitor.page
}

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()

test('a deployment is scaled, paused and resumed on its page, which says before what that starts, ends and costs', async () => {
  const body = { name: 'scaled', model: 'quick', wanted: 1 }
  const { id } = await plane.client.createDeployment({ body })
  const now = () => plane.client.showDeployment({ params: { id } })
  const reaches = (counts: object) => expect.poll(now, { timeout: 30_000 }).toMatchObject(counts)
  await reaches({ ready: 1 })
  const page = await visit(`/deployments/${id}`)
  const slots = page.getByRole('table', { name: 'Slots' }).getByRole('row')
  await press(page, 'Scale …')
  const dialog = page.getByRole('dialog', { name: 'Scale scaled' })
  await dialog.getByLabel('Replicas wanted').fill('1001')
  await press(page, 'Scale')
  await dialog.getByRole('alert').getByText('Give a whole number from 0 to 1,000.').waitFor()
  await dialog.getByLabel('Replicas wanted').fill('2')
  await dialog.getByText('One machine will be asked for').waitFor()
  await dialog.getByText('Each of its machines costs $3.60 / h now.').waitFor()
  await press(page, 'Scale')
  await reaches({ wanted: 2, ready: 2 })
  await expect.poll(() => slots.filter({ hasText: 'ready' }).count()).toBe(2)

  await press(page, 'Pause')
  await page.getByText('It is paused.').waitFor()
  await press(page, 'Scale …')
  await dialog.getByLabel('Replicas wanted').fill('1')
  await dialog.getByText('nothing starts or ends before it is resumed').waitFor()
  await dialog.getByText('One machine will be given back').waitFor()
  await press(page, 'Give back')
  await dialog.waitFor({ state: 'detached' })
  expect(await now()).toMatchObject({ wanted: 1, ready: 2, paused: true })
  await press(page, 'Resume')
  await page.getByText('It is paused.').waitFor({ state: 'detached' })
  await reaches({ wanted: 1, ready: 1, paused: false })
  await expect.poll(() => slots.filter({ hasText: 'ready' }).count(), { timeout: 20_000 }).toBe(1)
})

test('a person is added with a role, signs in, is given another one, and once disabled is out at once; the audit that is narrowed to it says so', async () => {
  const page = await visit('/people')
  await press(page, 'Add a person')
  await page.getByLabel('Name').fill('grace')
  await page.getByLabel('Role', { exact: true }).selectOption('operator')
  await press(page, 'Add')
  const shown = page.getByRole('dialog', { name: 'The token of grace' })
  const token = await shown.getByText(/^fd_op_/).innerText()
  await press(page, 'I have copied it')
  const row = page.getByRole('table', { name: 'People' }).getByRole('row', { name: /grace/ })
  await row.getByText('also launches, ends and scales').waitFor()
  const hers = await visit('/deployments', { url: plane.url, token })
  await hers.getByText('grace · operator').waitFor()

  await row.getByRole('button', { name: 'Role of grace' }).click()
  await page.getByRole('dialog', { name: 'The role of grace' }).getByLabel('Role').selectOption('viewer')
  await press(page, 'Change')
  await row.getByText('sees everything but people').waitFor()
  await hers.getByText('grace · viewer').waitFor()

  await row.getByRole('button', { name: 'Disable grace' }).click()
  await page.getByRole('dialog').getByText('grace is signed out everywhere at once.').waitFor()
  await press(page, 'Disable')
  await row.getByText('disabled').waitFor()
  const form = hers.getByRole('dialog', { name: 'Your session has ended' })
  await form.getByLabel('Your token').fill(token)
  await press(hers, 'Sign in and go on')
  await form.getByRole('alert').waitFor()

  await row.getByRole('link', { name: 'Audit' }).click()
  const rows = page.getByRole('table', { name: 'Audit' }).getByRole('row')
  await rows.filter({ hasText: 'session.begin' }).first().waitFor()
  expect(await rows.filter({ hasNotText: 'grace' }).count()).toBe(1)
  await page.getByLabel('Who', { exact: true }).selectOption('admin')
  await page.getByLabel('Did', { exact: true }).selectOption('operator')
  await rows.filter({ hasText: 'operator.disable' }).first().waitFor()
  await expect.poll(() => rows.filter({ hasNotText: 'operator.' }).count()).toBe(1)
  await page.reload()
  await rows.filter({ hasText: 'operator.disable' }).first().waitFor()
  await page.getByLabel('To what, by its whole id or name').fill('nobody')
  await press(page, 'Find')
  await page.getByText('Nothing like that was done.').waitFor()
})

test('while automation is paused a launch shows its place in the queue as it moves and what is to come, and loops that act are paused, not late', async () => {
  const settings = await visit('/settings')
  await press(settings, 'Pause …')
  await settings.getByLabel('Reason').fill('looking at the queue')
  await press(settings, 'Pause it')
  await settings.getByRole('dialog').waitFor({ state: 'detached' })
  const [first, second] = [await plane.launched('quick'), await plane.launched('quick')]
  const page = await visit(`/launches/${second.id}`)
  await page.getByText('looking at the queue').waitFor()
  await page.getByText('Place 2 in the queue').waitFor()
  await plane.client.cancelLaunch({ params: { id: first.id } })
  await page.getByText('Place 1 in the queue, next').waitFor()
  // What just got ready is part of the past half a minute later.
  const toCome = async () => {
    await page.reload()
    await page.getByText('Place 1 in the queue').waitFor()
    const { phasesToCome } = await plane.client.showLaunch({ params: { id: second.id } })
    const told = phasesToCome.map(({ usualMs }) => `usually ${humanMs(usualMs)}`)
    return { told, shown: await page.getByText(/^usually /).allInnerTexts() }
  }
  const isTold = ({ told, shown }: Awaited<ReturnType<typeof toCome>>) =>
    told.length > 3 && told.join() === shown.join()
  await expect.poll(async () => isTold(await toCome()), { timeout: 60_000 }).toBe(true)
  const loops = settings.getByRole('table', { name: 'Loops' }).getByRole('row')
  await loops.filter({ hasText: 'launch' }).getByText('paused').waitFor()
  await loops.filter({ hasText: 'sight' }).getByText('well').waitFor()
  await settings.getByRole('button', { name: 'Resume' }).first().click()
  await page.getByText('Ready after').waitFor()
  await plane.client.cancelLaunch({ params: { id: second.id } })
})

test('a node that fails is held as asked, with what that costs and for how long, and is let go by hand', async () => {
  const launch = await plane.reaches((await plane.launched('quick', { deployment: 'held' })).id, ['live'])
  const { id, name } = await plane.node(launch)
  const page = await visit(`/nodes/${id}`)
  await press(page, 'Drain, release or hold …')
  await page.getByRole('radio', { name: /^Hold/ }).check()
  await page.getByLabel('Keep it for').selectOption('30 minutes')
  await press(page, 'Hold it for up to $1.80')
  await page.getByText('It is kept, should it fail or drain').waitFor()
  const [engine = 0] = (await plane.running('scripted-engine')).get(name) ?? []
  process.kill(engine, 'SIGKILL')
  const note = page.locator('.note').filter({ hasText: 'It is kept to be looked at' })
  await note.waitFor()
  await note.getByText('by admin').waitFor()
  await note.getByText(/^\$1\.(79|80)/).waitFor()
  await page.getByText('held', { exact: true }).first().waitFor()
  await page.getByRole('button', { name: / …$/ }).click()
  await page.getByRole('radio', { name: /^Hold/ }).check()
  await page.getByLabel('Keep it for').selectOption('no longer: let it go')
  await press(page, 'Let it go')
  await page.getByText('gone', { exact: true }).first().waitFor()
  expect(await plane.client.showNode({ params: { id } })).toMatchObject({ state: 'gone', billed: 'no' })
})

test('a secret of engines is set under a name that is allowed, never shown again, and forgotten', async () => {
  const page = await visit('/settings')
  const dialog = page.getByRole('dialog')
  await page.getByText('None is set. Gated models need HF_TOKEN.').waitFor()
  await press(page, 'Set one …')
  await dialog.getByLabel('Variable').fill('LD_PRELOAD')
  await dialog.getByLabel('Value').fill('hf_not-to-be-seen')
  await press(page, 'Set it')
  await dialog.getByText('would change which code the engine runs').waitFor()
  await dialog.getByLabel('Variable').fill('HF_TOKEN')
  await press(page, 'Set it')
  await dialog.waitFor({ state: 'detached' })
  const row = page.getByRole('table', { name: 'Secrets' }).getByRole('row', { name: /HF_TOKEN/ })
  await row.waitFor()
  expect(await page.content()).not.toContain('hf_not-to-be-seen')
  const names = async () => (await plane.client.listSecrets()).items.map(({ name }) => name)
  expect(await names()).toEqual(['HF_TOKEN'])
  await row.getByRole('button', { name: 'Forget HF_TOKEN' }).click()
  await dialog.getByText('Those that run keep what they were given.').waitFor()
  await press(page, 'Forget it')
  await page.getByText('None is set.').waitFor()
  expect(await names()).toEqual([])
})

test('a node is drained from its page, which says before what follows, and another one takes its place', async () => {
  const launch = await plane.reaches((await plane.launched('quick', { deployment: 'drained' })).id, ['live'])
  const { id } = await plane.node(launch)
  const page = await visit(`/nodes/${id}`)
  await press(page, 'Drain, release or hold …')
  const dialog = page.getByRole('dialog')
  await dialog.getByText('another one takes its place if drained still wants it').waitFor()
  await press(page, 'Drain it')
  await dialog.waitFor({ state: 'detached' })
  await page.getByText('gone', { exact: true }).first().waitFor()
  expect(await plane.client.showNode({ params: { id } })).toMatchObject({ state: 'gone', billed: 'no', actions: [] })
  const serving = async () => {
    const { items } = await plane.client.listNodes({ query: { deployment: 'drained' } })
    return items.map((one) => [one.state, one.id === id])
  }
  await expect.poll(serving, { timeout: 30_000 }).toEqual([['ready', false]])
})

test('a session whose time is over ends under the open page, and whoever signs in again goes on where it was', async () => {
  const short = await startPlane({ gateway: false, config: { sessions: { lifetimeS: 3 } } })
  try {
    const page = await visit('/launch', short)
    await page.getByLabel('Search').fill('kept')
    const form = page.getByRole('dialog', { name: 'Your session has ended' })
    await form.getByLabel('Your token').fill(short.token)
    await press(page, 'Sign in and go on')
    await form.waitFor({ state: 'detached' })
    expect(await page.getByLabel('Search').inputValue()).toBe('kept')
  } finally {
    await short.end()
  }
})
