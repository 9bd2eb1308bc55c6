import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Plane, startPlane } from '../e2e/plane.ts'
import { type Cable, layCable, seeOff, seriousFindings, startBrowser, type VisitOptions, Visitor } from './browser.ts'
import { emptyPages, everyPage, type Pages, refusedSteps } from './every-page.ts'
import { fleetLike, tell } from './told-fleet.ts'

let plane: Plane
let browser: Browser
let cable: Cable
const visitors: Visitor[] = []

beforeAll(async () => {
  const scripts = { quick: {}, wrong: { says: ['ValueError: No such thing.'] } }
  plane = await startPlane({ scripts, config: { launch: { rounds: 1, triesPerOffer: 1 } } })
  browser = await startBrowser()
  cable = await layCable(plane.port)
})
afterEach(() => seeOff(visitors))
afterAll(async () => {
  await cable?.close()
  await browser?.close()
  await plane?.end()
})

async function visit(options: Partial<VisitOptions> = {}): Promise<Page> {
  const visitor = await Visitor.arrive(browser, { url: plane.url, token: plane.token, ...options })
  visitors.push(visitor)
  return visitor.page
}

const height = 900
const desk = { width: 1440, height }
const phone = { width: 390, height }

/** As it is now, on a desk and on a phone, light and dark. Of what axe looks for, contrast alone depends on the look. */
async function isSound(page: Page, what: string, within?: string): Promise<void> {
  for (const [size, look, other] of [
    [desk, 'light', 'dark'],
    [phone, 'dark', 'light'],
  ] as const) {
    await page.setViewportSize(size)
    await page.emulateMedia({ colorScheme: look })
    expect(await seriousFindings(page, undefined, within), `${what}, ${look}, ${size.width}`).toEqual([])
    await page.emulateMedia({ colorScheme: other })
    expect(await seriousFindings(page, ['color-contrast'], within), `${what}, ${other}, ${size.width}`).toEqual([])
    const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
    expect(wide, `${what} is wider than the screen of ${size.width}`).toBeLessThanOrEqual(0)
  }
  await page.setViewportSize(desk)
}

async function areSound(page: Page, pages: Pages): Promise<void> {
  for (const [name, path] of Object.entries(pages)) {
    await page.goto(path)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await expect.poll(() => page.locator('main .waiting').count(), { timeout: 20_000 }).toBe(0)
    await isSound(page, name)
  }
}

const press = (page: Page, name: string | RegExp) => page.getByRole('button', { name }).first().click()

/** Opens a dialog by the keyboard, fills in what it takes, goes through it, and is back at the button once it is closed. */
async function opens(page: Page, button: string | RegExp, fill?: () => Promise<void>): Promise<void> {
  const what = `${page.url()}: ${button}`
  const opener = page.getByRole('button', { name: button }).first()
  await opener.focus()
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog')
  await dialog.waitFor()
  await fill?.()
  await isSound(page, what, 'dialog')
  await isWalked(page, what)
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  expect(await opener.evaluate((button) => button.matches(':focus')), what).toBe(true)
}

/** Tab comes by each part of the dialog that takes something, in their order, and by nothing else. */
async function isWalked(page: Page, what: string): Promise<void> {
  const taking = ':is(input, select, textarea, button, a[href]):not(:disabled, [type=radio]:not(:checked))'
  const parts = `[...document.querySelectorAll('dialog ${taking}')]`
  const count = Number(await page.evaluate(`${parts}.length`))
  await page.evaluate(`${parts}[0].focus()`)
  const order: unknown[] = []
  for (let i = 0; i < count; i++) {
    order.push(await page.evaluate(`${parts}.indexOf(document.activeElement)`))
    await page.keyboard.press('Tab')
  }
  expect(order, what).toEqual([...Array(count).keys()])
}

test('who is not signed in, and an install in which nothing was launched: axe finds nothing serious', async () => {
  const stranger = await visit({ token: undefined })
  await stranger.goto('/')
  await press(stranger, 'Sign in')
  await stranger.getByRole('alert').waitFor()
  await isSound(stranger, 'sign-in')
  await areSound(await visit(), emptyPages)
})

test('on every page, and in every dialog, axe finds nothing serious', async () => {
  const launch = await plane.reaches((await plane.launched('quick')).id, ['live'])
  await plane.chat('quick', await plane.key('axe'))
  await plane.client.putSecret({ params: { id: 'HF_TOKEN' }, body: { value: 'secret' } })
  const page = await visit()
  const pages = everyPage(launch)
  await areSound(page, pages)

  const on = (name: string) => page.goto(pages[name] ?? '')
  await on('node')
  await opens(page, 'Drain, release or hold …', () => page.getByRole('radio', { name: /^Hold/ }).check())
  await on('launch')
  await opens(page, 'Cancel')
  await on('deployment')
  await opens(page, 'Scale …')
  await on('people')
  await opens(page, 'Add a person')
  await opens(page, /^Role/)
  await opens(page, /^Disable/)
  await on('settings')
  for (const button of ['Pause …', 'Set one …', /^Forget/]) await opens(page, button)
  await on('keys')
  await opens(page, /^Revoke/)
  await opens(page, 'Make a key', async () => {
    await page.getByLabel('Name').fill('Bad name')
    await press(page, 'Make the key')
    await page.getByRole('alert').waitFor()
  })
  await press(page, 'Make a key')
  await page.getByLabel('Name').fill('shown-once')
  await press(page, 'Make the key')
  await page.getByRole('dialog', { name: 'The key shown-once' }).waitFor()
  await isSound(page, 'a key that is shown once', 'dialog')
})

test('where something is wrong, or nobody answers, axe finds nothing serious', async () => {
  const failed = await plane.reaches((await plane.launched('wrong')).id, ['failed'])
  const live = await plane.client.listNodes({ query: { state: 'ready' } })
  await plane.client.pause({ body: { paused: true, reason: 'looking into it' } })
  const { id, token } = await plane.client.createOperator({ body: { name: 'vera', role: 'viewer' } })
  const page = await visit({ url: cable.url })
  const { start, launch, transcript, deployment, settings } = everyPage(failed)
  await areSound(page, { start, launch, transcript, deployment, settings, ...refusedSteps('quick') } as Pages)
  cable.cut()
  await page.getByText('Reconnecting.').waitFor()
  await isSound(page, 'what is not of now')
  await page.getByRole('link', { name: 'Audit' }).click()
  await page.getByText('No answer came').waitFor()
  await isSound(page, 'a page that nobody answers')
  cable.mend()

  const ill = await visit()
  const [node] = live.items
  await tell(ill, plane, { nodes: node ? fleetLike(node, 20) : [] })
  await areSound(ill, { fleet: '/fleet' })

  const viewer = await visit({ token })
  await areSound(viewer, { people: '/people', settings: '/settings' })
  await plane.client.disableOperator({ params: { id } })
  await viewer.getByRole('dialog', { name: 'Your session has ended' }).waitFor()
  await isSound(viewer, 'a session that has ended')
})
