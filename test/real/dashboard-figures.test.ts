import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { type Plane, startPlane, until } from '../e2e/plane.ts'
import { type Cable, layCable, seeOff, startBrowser, Visitor } from './browser.ts'
import { madeUp, regionsOf, Told } from './figures-shown.ts'

let plane: Plane
let browser: Browser
let cable: Cable
let live: LaunchDetail
let loads: LaunchDetail
let failed: LaunchDetail
const visitors: Visitor[] = []

beforeAll(async () => {
  const wrong = { says: ['ValueError: User-specified max_model_len (65536) is greater than 40960.'] }
  plane = await startPlane({
    scripts: { quick: {}, slow: { startupMs: 120_000 }, wrong },
    config: { launch: { rounds: 1, triesPerOffer: 1 } },
    local: { pricePerHourUsd: 2.49 },
  })
  browser = await startBrowser()
  cable = await layCable(plane.port)
  const asked = [await plane.launched('quick'), await plane.launched('quick'), await plane.launched('wrong')]
  const [first, , third] = asked
  live = await plane.reaches(first?.id ?? '', ['live'])
  failed = await plane.reaches(third?.id ?? '', ['failed'])
  loads = await plane.launched('slow')
  await until(
    async () => (await plane.client.showLaunch({ params: { id: loads.id } })).phase.startsWith('engine'),
    30_000,
    () => 'the slow engine does not start',
  )
})
afterEach(() => seeOff(visitors))
afterAll(async () => {
  await cable?.close()
  await browser?.close()
  await plane?.end()
})

/** Whose own clock is off by so much. */
async function arrive(clockOffMs = 0): Promise<{ page: Page; told: Told }> {
  const visitor = await Visitor.arrive(browser, { url: cable.url, token: plane.token })
  visitors.push(visitor)
  const { page } = visitor
  await page.addInitScript(`{ const now = Date.now; Date.now = () => now() + ${clockOffMs} }`)
  return { page, told: await Told.on(page) }
}

const figuresOn = async (page: Page): Promise<number> =>
  (await regionsOf(page)).reduce((sum, { money, times, words }) => sum + money.length + times.length + words.length, 0)

/** Opens a page and leaves it as it was told to be at one moment: its connection is cut, and only time goes on. */
async function standsStill(page: Page, path: string): Promise<void> {
  cable.mend()
  await page.goto(path)
  await page.locator('.side').getByText('live', { exact: true }).filter({ visible: true }).waitFor()
  await expect.poll(() => figuresOn(page), { timeout: 20_000 }).toBeGreaterThan(5)
  await page.waitForLoadState('networkidle')
  cable.cut()
  await page.getByText('Reconnecting.').waitFor()
}
afterEach(() => cable.mend())

const leaving = new Set(['draining', 'releasing'])

/** What the fleet as a whole amounts to. */
function fleetOf(told: Told) {
  const nodes = told.all('signals').filter(({ state }) => state !== 'gone')
  const offers = nodes.map(({ offer }) => offer as { cloud: string; region: string })
  const ready = nodes.filter(({ state }) => state === 'ready').length
  const left = nodes.filter(({ state }) => leaving.has(String(state))).length
  return {
    nodes: nodes.length,
    clouds: new Set(offers.map(({ cloud }) => cloud)).size,
    ready,
    leaving: left,
    starting: nodes.length - ready - left,
    needsALook: 0,
    inFlight: nodes.reduce((sum, { inFlight }) => sum + Number(inFlight), 0),
    burnPerHourMicroUsd: told.status['burnPerHourMicroUsd'] ?? null,
  }
}

/** What a region is about, as the API told it. */
function ownOf(about: string, told: Told) {
  const [, kind, id = ''] = about.split('/')
  if (id === '') return kind === 'fleet' ? fleetOf(told) : {}
  // A row of a slot tells of the launch that holds it and of its node.
  return told.one(id).flatMap((thing) => [thing, ...told.one(String(thing['nodeId']))])
}

async function madeUpOn(page: Page, told: Told): Promise<string[]> {
  const path = new URL(page.url()).pathname
  return (await regionsOf(page)).flatMap((region) => madeUp(region, ownOf(region.about || path, told), Date.now()))
}

test.each([
  ['right', 0],
  ['an hour ahead', 3_600_000],
  ['an hour behind', -3_600_000],
])(
  'every figure that is shown is a field of the API, by the time of the server, where the clock is %s',
  async (_, offMs) => {
    const { page, told } = await arrive(offMs)
    const paths = ['/fleet', `/nodes/${live.nodeId}`, '/launches', '/deployments', `/deployments/${live.deploymentId}`]
    for (const path of [...paths, ...[live, loads, failed].map(({ id }) => `/launches/${id}`)]) {
      await standsStill(page, path)
      // What came last may still be on its way to the screen.
      await expect.poll(() => madeUpOn(page, told), { message: path }).toEqual([])
    }
    await told.end()
  },
)

test('a price, a count, a percentage and an age that no field tells are found', async () => {
  const { page, told } = await arrive()
  await standsStill(page, `/launches/${loads.id}`)
  expect(await madeUpOn(page, told)).toEqual([])
  await page.evaluate(`(() => {
    document.querySelector('main data').textContent = '$9.99'
    document.querySelector('main time').textContent = '9d09h'
    document.querySelector('main .facts dd').append(' 776 % of 4,321')
  })()`)
  const found = await madeUpOn(page, told)
  expect(found).toHaveLength(4)
  for (const figure of ['$9.99', '9d09h', '776', '4,321']) expect(found.join()).toContain(figure)
  await told.end()
})
