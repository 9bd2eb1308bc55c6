import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { humanRough } from '../../src/core/human-time.ts'
import { type Plane, startPlane } from '../e2e/plane.ts'
import { seeOff, startBrowser, Visitor } from './browser.ts'
import { press } from './story.ts'

let plane: Plane
let browser: Browser
const visitors: Visitor[] = []

beforeAll(async () => {
  const config = { launch: { rounds: 1, triesPerOffer: 1 } }
  plane = await startPlane({
    config,
    scripts: { quick: {}, slow: { startupMs: 120_000 }, wrong: { says: ['ValueError: It cannot be served.'] } },
  })
  browser = await startBrowser()
})
afterEach(() => seeOff(visitors))
afterAll(async () => {
  await browser?.close()
  await plane?.end()
})

async function visit(path: string): Promise<Page> {
  const visitor = await Visitor.arrive(browser, { url: plane.url, token: plane.token })
  visitors.push(visitor)
  await visitor.page.goto(path)
  return visitor.page
}

/** The configuration of a model in the wizard, as it was filled in. */
async function configured(fields: Readonly<Record<string, string>>): Promise<Page> {
  const page = await visit('/launch')
  await press(page, 'quick')
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value)
  await press(page, 'See what it costs')
  return page
}

const theOne = async () => {
  const { items } = await plane.client.listDeployments()
  expect(items).toHaveLength(1)
  return items[0] ?? expect.fail()
}

test('several replicas are a new deployment, whose launches are given the time that was asked for', async () => {
  const page = await configured({ Replicas: '2', 'Time limit': '20m', 'Requests of that length at a time': '4' })
  await page.getByText('$7.20', { exact: true }).waitFor()
  await press(page, 'Go on')
  await page.getByText('quick, which is new and wants 2').waitFor()
  await page.getByText('flightdeck deploy quick --replicas 2 --name quick --concurrency 4 --time-limit 1200s').waitFor()
  await page.getByRole('button', { name: 'Launch 2 for $7.20 / h' }).click()
  await page.waitForURL((url) => url.pathname.startsWith('/deployments/'))
  await expect.poll(theOne, { timeout: 30_000 }).toMatchObject({ name: 'quick', wanted: 2, ready: 2 })
  const { items } = await plane.client.listLaunches()
  const limits = items.map(({ createdAt, deadlineAt }) => Date.parse(deadlineAt ?? '') - Date.parse(createdAt))
  expect(limits).toEqual([1_200_000, 1_200_000])
  for (const { id } of items)
    expect(await plane.client.showLaunch({ params: { id } })).toMatchObject({ timeLimitS: 1_200, concurrency: 4 })
})

test('several more of one that is there are as many more as were told, from as many as it wanted', async () => {
  const { id } = await theOne()
  const page = await configured({ Replicas: '3', Deployment: 'quick' })
  await page.getByText('The deployment quick is there, and says where its replicas run').waitFor()
  expect(await page.getByRole('radio').count()).toBe(0)
  await page.getByText('$10.80', { exact: true }).waitFor()
  await press(page, 'Go on')
  await page.getByText('quick, which wants 5 instead of 2').waitFor()
  await page.getByText('flightdeck scale quick 5', { exact: true }).waitFor()
  // Somebody else decides otherwise while this request is on its way: a moment before, the page would have told of it.
  await page.route(
    `**/api/deployments/${id}/scale`,
    async (route) => {
      await plane.client.scaleDeployment({ params: { id }, body: { wanted: 1 } })
      await route.continue()
    },
    { times: 1 },
  )
  await page.getByRole('button', { name: /^Launch 3 for/ }).click()
  await page.getByRole('alert').getByText('The deployment "quick" wants 1 by now, not 2.').waitFor()
  await page.getByText('quick, which wants 4 instead of 1').waitFor()
  await page.getByRole('button', { name: /^Launch 3 for/ }).click()
  await page.waitForURL(`**/deployments/${id}`)
  const asked = page.getByRole('region', { name: 'What each of its launches asks for' })
  await asked.getByText('20m00s', { exact: true }).waitFor()
  expect(await theOne()).toMatchObject({ wanted: 4 })
})

test.each([
  [
    'one replica',
    'with other arguments',
    { 'Arguments of the engine': 'seed=7' },
    'runs quick on vllm with no arguments of its own',
  ],
  ['several', 'with other arguments', { Replicas: '2', 'Arguments of the engine': 'seed=7' }, 'runs quick on vllm'],
  ['several', 'within another time', { Replicas: '2', 'Time limit': '30m' }, 'has a time limit of 20m00s'],
])('%s %s is refused before it is asked for, with what to do', async (_, __, fields, cause) => {
  const page = await configured(fields)
  await press(page, 'Go on')
  const why = page.getByRole('alert').filter({ hasText: `The deployment "quick" ${cause}` })
  await why.getByText(/ame another deployment/).waitFor()
  await page.getByText('quick, which does not take this').waitFor()
  await page.getByText('would be refused, for the reason above').waitFor()
})

test('the time limit and the concurrency that a launch was asked with are in its command, and in asking once more', async () => {
  const terms = { timeLimitS: 1_200, concurrency: 4 }
  const { id } = await plane.reaches((await plane.launched('wrong', terms)).id, ['failed'])
  const page = await visit(`/launches/${id}`)
  await page.getByText('flightdeck launch wrong --deployment wrong --concurrency 4 --time-limit 1200s').waitFor()
  await page.getByRole('link', { name: 'Change it first' }).click()
  await expect.poll(() => page.getByLabel('Time limit').inputValue()).toBe('1200s')
  expect(await page.getByLabel('Requests of that length at a time').inputValue()).toBe('4')
  await page.goBack()
  await page.getByRole('button', { name: 'Launch again' }).click()
  await page.waitForURL((url) => url.pathname.startsWith('/launches/') && !url.pathname.endsWith(id))
  const again = new URL(page.url()).pathname.split('/').at(-1) ?? ''
  expect(await plane.client.showLaunch({ params: { id: again } })).toMatchObject(terms)
})

test('a model of the catalogue says how much memory it needs, its cache at full context among it', async () => {
  const [card] = (await plane.client.listCatalog()).items
  const page = await visit('/launch')
  const row = page.getByRole('table', { name: 'Models of the catalogue' }).getByRole('row', { name: card?.id ?? '' })
  await row.getByText(`${card?.memory.totalGib} GiB`).waitFor()
  await row
    .getByText(`KV cache ${card?.memory.kvGib} for ${card?.contextTokens.toLocaleString('en-US')} tokens`)
    .waitFor()
})

test('an offer says how long launches of the model took there, and what that costs before the first token', async () => {
  const first = async () => (await plane.client.plan({ body: { model: 'quick', replicas: 2 } })).offers[0]?.readyIn
  await expect.poll(first, { timeout: 60_000 }).toBeTruthy()
  // Each that gets ready changes what is usual.
  const quick = async () => (await plane.client.listDeployments()).items.find(({ name }) => name === 'quick')
  await expect.poll(quick, { timeout: 60_000 }).toMatchObject({ starting: 0 })
  const page = await configured({ Replicas: '2' })
  const row = page.getByRole('table', { name: /^Offers/ }).getByRole('row', { name: /CPU/ })
  const told = (await first()) ?? expect.fail()
  // An offer may be as old as that.
  await row.getByText(new RegExp(`^${humanRough(told.ms)}\\s*for \\$`)).waitFor()
  await press(page, 'Go on')
  await page.getByText(`It usually serves after ${humanRough(told.ms)}: about $`).waitFor()
  await page.getByText('each before the first token.').waitFor()
})

test('a launch on its way says how many attempts there may be at most', async () => {
  const { id } = await plane.launched('slow')
  const page = await visit(`/launches/${id}`)
  await page.getByText('attempt 1 of at most 1', { exact: true }).waitFor()
})
