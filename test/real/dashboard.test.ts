import { gzipSync } from 'node:zlib'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Role } from '../../src/core/tokens.ts'
import { type Plane, startPlane } from '../e2e/plane.ts'
import { type Cable, layCable, seeOff, startBrowser, type VisitOptions, Visitor } from './browser.ts'

let plane: Plane
let browser: Browser
let cable: Cable
const visitors: Visitor[] = []

beforeAll(async () => {
  plane = await startPlane({ scripts: { quick: {}, other: {} } })
  browser = await startBrowser()
  cable = await layCable(plane.port)
})
afterEach(() => seeOff(visitors))
afterAll(async () => {
  await cable?.close()
  await browser?.close()
  await plane?.end()
})

async function visit(options: Partial<VisitOptions> = {}): Promise<Visitor> {
  const visitor = await Visitor.arrive(browser, { url: plane.url, token: plane.token, ...options })
  visitors.push(visitor)
  return visitor
}

/** The page says that what it shows is of now. */
const isLive = (page: Page) =>
  page.locator('.side').getByText('live', { exact: true }).filter({ visible: true }).waitFor()

let people = 0
async function person(role: Role): Promise<{ id: string; name: string; token: string }> {
  people += 1
  return plane.client.createOperator({ body: { name: `${role}-${people}`, role } })
}

test('who is not signed in is asked for a token, told in place what is wrong with it, and then is where they wanted to go', async () => {
  const { page } = await visit({ token: undefined })
  await page.goto('/fleet?group=wrong')
  await page.getByLabel('Your token').fill('fd_op_nonsense')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('alert').getByText('token').waitFor()
  await page.getByLabel('Your token').fill(plane.token)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Fleet', level: 1 }).waitFor()
  expect(page.url()).toBe(`${plane.url}/fleet?group=wrong`)
})

test('where the session has ended, the page stays as it is behind the form, and goes on after it', async () => {
  await plane.launched('quick')
  const { id, name, token } = await person('operator')
  const { page } = await visit({ token })
  await page.goto('/fleet')
  const search = page.getByLabel('Find nodes')
  await search.fill('fd-')
  await plane.client.disableOperator({ params: { id } })
  const form = page.getByRole('dialog', { name: 'Your session has ended' })
  await form.getByText(name).waitFor()
  await form.getByLabel('Your token').fill(plane.token)
  await form.getByRole('button', { name: 'Sign in and go on' }).click()
  await form.waitFor({ state: 'detached' })
  await isLive(page)
  expect(await search.inputValue()).toBe('fd-')
})

test('a cut connection is seen, and when it is back so is everything that happened meanwhile', async () => {
  const { page } = await visit({ url: cable.url })
  await page.goto('/launches')
  await page.getByRole('table').waitFor()
  cable.cut()
  await page.getByText('Reconnecting.').waitFor()
  const launch = await plane.launched('other', { deployment: 'while-cut' })
  cable.mend()
  await page.getByText('Reconnecting.').waitFor({ state: 'detached' })
  await page.getByRole('cell', { name: 'while-cut' }).waitFor()
  await plane.client.cancelLaunch({ params: { id: launch.id } })
})

test.each([
  ['Audit', 'was never fetched'],
  ['People', 'is there'],
])(
  'the page %s that is opened while nobody answers, and whose file %s, says so and shows what was wanted once somebody does',
  async (name, file) => {
    const { page } = await visit({ url: cable.url })
    await page.goto('/launches')
    await isLive(page)
    await page.evaluate('document.isKept = true')
    const link = page.getByRole('link', { name })
    if (file === 'is there') await link.hover()
    await page.waitForLoadState('networkidle')
    cable.cut()
    await link.click()
    await page.getByText('No answer came').waitFor()
    await page.getByText('Check that the control plane runs').waitFor()
    cable.mend()
    await page.getByRole('table', { name }).waitFor()
    expect(await page.evaluate('document.isKept')).toBe(true)
  },
)

test('where all is answered but the file of a page does not come, the dashboard is loaded anew, once, and then says so', async () => {
  const { page } = await visit()
  let loads = 0
  page.on('load', () => loads++)
  await page.goto('/launches')
  await page.route('**/assets/people-*.js', (route) => route.fulfill({ status: 404 }))
  await page.getByRole('link', { name: 'People' }).click()
  await page.getByRole('alert').getByText('Load the page again.').waitFor()
  expect([new URL(page.url()).pathname, loads]).toEqual(['/people', 2])
})

test('who may not do something is told so where they would do it', async () => {
  const { token } = await person('viewer')
  await plane.reaches((await plane.launched('quick')).id, ['live'])
  const { page } = await visit({ token })
  await page.goto('/people')
  await page.getByRole('alert').getByText('Ask an admin for a role that may do this.').waitFor()
  await page.goto('/fleet')
  await page
    .getByRole('button', { name: /^Act … on/ })
    .first()
    .click()
  const verb = page.getByRole('button', { name: 'Drain it' })
  expect(await verb.getAttribute('aria-disabled')).toBe('true')
  await page.getByText('needs the role operator').waitFor()
  const acts: string[] = []
  page.on('request', (request) => request.method() !== 'GET' && acts.push(request.url()))
  await verb.click({ force: true })
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  expect(acts).toEqual([])
})

test('what another changes is seen by itself, though nothing can be asked any more', async () => {
  const { page } = await visit()
  await page.goto('/fleet')
  await page.getByRole('heading', { name: 'Fleet' }).waitFor()
  await isLive(page)
  await page.waitForLoadState('networkidle')
  await page.route('**/api/**', (route) => route.abort())
  const launch = await plane.launched('other', { deployment: 'from-outside' })
  const row = page.getByRole('row', { name: /from-outside/ })
  await row.getByText('ready', { exact: true }).waitFor()
  const { nodeId } = await plane.reaches(launch.id, ['live'])
  await plane.client.drainNode({ params: { id: nodeId ?? '' }, body: {} })
  await row
    .getByText(/draining|releasing/)
    .first()
    .waitFor()
})

test('what is done in one tab is seen in the other, and who signs out in one is out in both', async () => {
  const { page } = await visit()
  const other = await page.context().newPage()
  await Promise.all([page.goto('/settings'), other.goto('/settings')])
  await isLive(other)
  await plane.client.pause({ body: { paused: true, reason: 'two tabs' } })
  await other.getByText('Automation is paused.').waitFor()
  await page.getByRole('button', { name: 'Resume' }).first().click()
  await other.getByText('Automation is paused.').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  await other.getByRole('dialog', { name: 'Your session has ended' }).waitFor()
})

test('a node is released from the fleet, by the keyboard alone', async () => {
  const launch = await plane.reaches((await plane.launched('other', { deployment: 'by-hand' })).id, ['live'])
  const { page } = await visit()
  await page.goto('/fleet?q=by-hand')
  await page.getByRole('button', { name: /^Act … on/ }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('radio', { name: /^Release/ }).focus()
  await page.keyboard.press('Space')
  await page.getByRole('button', { name: 'Release it now' }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await plane.reaches(launch.id, ['ended'])
})

test('a clock that is an hour off changes no age', async () => {
  const { page } = await visit()
  await page.addInitScript('{ const now = Date.now; Date.now = () => now() + 3_600_000 }')
  await page.goto('/settings')
  await page.getByRole('table', { name: 'Loops' }).waitFor()
  const ages = await page.getByRole('table', { name: 'Loops' }).getByRole('time').allInnerTexts()
  expect(ages.length).toBeGreaterThan(5)
  expect(ages.filter((age) => /[hd]/.test(age))).toEqual([])
})

test('the first page needs no more than 250 KB of script', async () => {
  const { page } = await visit()
  const scripts = new Map<string, number>()
  const read: Promise<unknown>[] = []
  page.on('response', (response) => {
    if (response.url().endsWith('.js'))
      read.push(response.body().then((body) => scripts.set(response.url(), gzipSync(body).byteLength)))
  })
  await page.goto('/fleet')
  await isLive(page)
  await Promise.all(read)
  const bytes = [...scripts.values()].reduce((sum, size) => sum + size, 0)
  expect(bytes).toBeGreaterThan(50_000)
  expect(bytes).toBeLessThanOrEqual(250_000)
})
