import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { enginePresets } from '../../src/core/engine-presets.ts'
import { hoursPerMonth } from '../../src/core/money.ts'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { type Plane, startPlane, until } from '../e2e/plane.ts'
import { type Cable, layCable, seeOff, startBrowser, Visitor } from './browser.ts'
import { madeUp, regionsOf, type Thing, Told, type Value } from './figures-shown.ts'
import { wronglyDrawn } from './graphs-shown.ts'

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
  // For graphs: a sample is taken every ten seconds, and gateways account every two.
  await plane.chat('quick', await plane.key('figures'))
  failed = await plane.reaches(third?.id ?? '', ['failed'])
  loads = await plane.launched('slow')
  await until(
    async () => (await plane.client.showLaunch({ params: { id: loads.id } })).phase.startsWith('engine'),
    30_000,
    () => 'the slow engine does not start',
  )
  const ofDeployment = { params: { id: live.deploymentId }, query: { span: 'hour' as const } }
  await until(
    async () => {
      const { samples, traffic } = await plane.client.deploymentSamples(ofDeployment)
      return samples.length > 1 && traffic.length > 0
    },
    60_000,
    () => 'nothing is kept for graphs',
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
async function standsStill(page: Page, told: Told, path: string, figures = 6): Promise<void> {
  cable.mend()
  told.answers = []
  await page.goto(path)
  await page.locator('.side').getByText('live', { exact: true }).filter({ visible: true }).waitFor()
  await expect.poll(() => figuresOn(page), { timeout: 20_000, message: path }).toBeGreaterThanOrEqual(figures)
  await page.waitForLoadState('networkidle')
  cable.cut()
  await page.getByText('Reconnecting.').waitFor()
}
afterEach(() => cable.mend())

/** What the fleet as a whole amounts to. */
function fleetOf(told: Told) {
  const nodes = told.all('signals').filter(({ state }) => state !== 'gone')
  const offers = nodes.map(({ offer }) => offer as { cloud: string; region: string })
  return {
    nodes: nodes.length,
    clouds: new Set(offers.map(({ cloud }) => cloud)).size,
    ...(told.status['fleet'] as object | undefined),
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

/** Pages that are about no one thing: how many figures they have at least, and which of them are written there for good. */
const answered: Readonly<Record<string, readonly [figures: number, written?: Value]>> = {
  '/': [6],
  '/launch': [20, 's3://'],
  '/launch?model=quick&step=configuration': [20, ['20m', enginePresets.vllm.arguments as unknown as Thing]],
  '/launch?model=quick&step=instance': [6, hoursPerMonth],
  '/launch?model=quick&step=summary': [4, hoursPerMonth],
  '/playground': [1, '/v1'],
  '/keys': [1],
  '/people': [1],
  '/audit': [6],
  '/settings': [20],
}

/** What a page shows that is no field of what was answered while it was open: a row, of any other thing than one. */
async function unansweredOn(page: Page, told: Told, written: Value): Promise<string[]> {
  const whole = [...told.answers, told.status, written]
  const ones = told.elements()
  return (await regionsOf(page)).flatMap((region) => {
    if (!region.isOne) return madeUp(region, whole, Date.now())
    const about = region.about ? [ownOf(region.about, told)] : ones
    const [least = ['nothing was told']] = about
      .map((one) => madeUp(region, one, Date.now()))
      .sort((a, b) => a.length - b.length)
    return region.money.length + region.times.length + region.words.length === 0 ? [] : least
  })
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
      await standsStill(page, told, path)
      // What came last may still be on its way to the screen.
      await expect.poll(() => madeUpOn(page, told), { message: path }).toEqual([])
    }
    await told.end()
  },
)

test('every figure of the first page, the wizard, the playground and what is administered was answered, each row about one thing', async () => {
  const { page, told } = await arrive(3_600_000)
  for (const [path, [figures, written = null]] of Object.entries(answered)) {
    await standsStill(page, told, path, figures)
    await expect.poll(() => unansweredOn(page, told, written), { message: path, timeout: 20_000 }).toEqual([])
  }
  await told.end()
})

test('graphs say last, and in their tables, what the samples say', async () => {
  const { page, told } = await arrive()
  for (const path of [`/nodes/${live.nodeId}`, `/deployments/${live.deploymentId}`]) {
    await standsStill(page, told, path)
    const samples = () =>
      told.answers.findLast((answer) => answer !== null && Object.hasOwn(answer as Thing, 'sampleS'))
    await expect.poll(() => wronglyDrawn(page, samples() as Thing), { message: path, timeout: 20_000 }).toEqual([])
    expect(await page.locator('figure tbody tr').count(), path).toBeGreaterThan(3)
    const graphs = await page.locator('figure').count()
    expect(await page.locator('figure canvas').count(), `${path} draws each graph`).toBe(graphs)
  }
  await told.end()
})

test('a price, a count, a percentage, an age and a point of a graph that no field tells are found', async () => {
  const { page, told } = await arrive()
  await standsStill(page, told, `/launches/${loads.id}`)
  expect(await madeUpOn(page, told)).toEqual([])
  await page.evaluate(`(() => {
    document.querySelector('main data').textContent = '$9.99'
    document.querySelector('main time').textContent = '9d09h'
    document.querySelector('main .facts dd').append(' 776 % of 4,321')
  })()`)
  const found = await madeUpOn(page, told)
  expect(found).toHaveLength(4)
  for (const figure of ['$9.99', '9d09h', '776', '4,321']) expect(found.join()).toContain(figure)

  await standsStill(page, told, '/audit')
  expect(await unansweredOn(page, told, null)).toEqual([])
  // When one was asked for stands at another one: both were told, and not of one thing.
  await page.evaluate(`(() => {
    const timeOf = (id) => document.querySelector('[role=row]:has([href="/launches/' + id + '"]) time')
    timeOf('${loads.id}').replaceWith(timeOf('${live.id}').cloneNode(true))
  })()`)
  expect(await unansweredOn(page, told, null)).toHaveLength(1)

  await standsStill(page, told, `/nodes/${live.nodeId}`)
  const samples = told.answers.findLast(
    (answer) => answer !== null && Object.hasOwn(answer as Thing, 'sampleS'),
  ) as Thing
  await page.evaluate(`document.querySelector('main figure tbody td').textContent = '77'`)
  await page.evaluate(`document.querySelector('main figure b').textContent = '78'`)
  expect(await wronglyDrawn(page, samples)).toHaveLength(2)
  await told.end()
})
