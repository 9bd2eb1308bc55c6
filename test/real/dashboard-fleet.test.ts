import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { NodeView } from '../../src/wire/views.ts'
import { setFaults } from '../e2e/engine-faults.ts'
import { type Plane, startPlane } from '../e2e/plane.ts'
import { startQuickGateway } from '../e2e/quick-gateway.ts'
import { seeOff, startBrowser, Visitor } from './browser.ts'
import { tasksDuring, tasksOfScrolling } from './page-tasks.ts'
import { fleetLike, tell } from './told-fleet.ts'

let plane: Plane
let browser: Browser
let node: NodeView
let endGateway: (() => Promise<void>) | undefined
const visitors: Visitor[] = []

beforeAll(async () => {
  plane = await startPlane({ scripts: { quick: {} }, gateway: false })
  endGateway = startQuickGateway(plane)
  browser = await startBrowser()
  node = await plane.node(await plane.reaches((await plane.launched('quick')).id, ['live']))
})
afterEach(() => seeOff(visitors))
afterAll(async () => {
  await browser?.close()
  await plane?.end()
  await endGateway?.()
})

async function visit(): Promise<Visitor> {
  const visitor = await Visitor.arrive(browser, { url: plane.url, token: plane.token })
  visitors.push(visitor)
  return visitor
}

// A page that draws every row stands still for seconds. How long exactly a task takes is measured by `npm run bench:live`.
const frozenMs = 500

test('ten thousand nodes scroll, are told of and are found, and the page never stands still', async () => {
  const { page } = await visit()
  const nodes = fleetLike(node, 10_000)
  const changed = await tell(page, plane, { nodes })
  await page.goto('/fleet')
  await page.getByText('10,000 nodes on 4 clouds').waitFor()
  const rows = page.getByRole('table', { name: 'Nodes' }).getByRole('row')
  const scrolled = await tasksOfScrolling(page, nodes.length)
  expect(scrolled.length).toBeGreaterThan(50)
  expect(Math.max(...scrolled)).toBeLessThan(frozenMs)
  expect(await rows.count()).toBeLessThan(120)
  const busy = nodes.slice(0, 2_000).map((one) => ({ ...one, inFlight: 99 }))
  const [last] = busy.splice(-1)
  if (last) busy.push({ ...last, model: 'the/last-told' })
  const told = await tasksDuring(page, async () => {
    for (let i = 0; i < 20; i++) changed(busy.slice(i * 100, i * 100 + 100))
    await page.getByRole('option', { name: 'the/last-told' }).waitFor({ state: 'attached' })
  })
  expect(Math.max(...told)).toBeLessThan(frozenMs)
  await page.getByLabel('Find nodes').fill(nodes[9_999]?.name ?? '')
  await page.getByRole('row', { name: new RegExp(nodes[9_999]?.name ?? '') }).waitFor()
})

test('on a phone that is turned, the rows of a thousand nodes are as high as what they say', async () => {
  const { page } = await visit()
  await page.setViewportSize({ width: 844, height: 390 })
  await tell(page, plane, { nodes: fleetLike(node, 1_000) })
  await page.goto('/fleet')
  const row = page.getByRole('table', { name: 'Nodes' }).getByRole('row').nth(2)
  const height = () => expect.poll(async () => Math.round((await row.boundingBox())?.height ?? 0), { timeout: 20_000 })
  await height().toBe(35)
  await page.setViewportSize({ width: 390, height: 844 })
  await row.scrollIntoViewIfNeeded()
  await height().toBeGreaterThan(70)
  expect(await row.evaluate((shown) => shown.scrollHeight - shown.clientHeight)).toBeLessThanOrEqual(1)
  await page.setViewportSize({ width: 844, height: 390 })
  await height().toBe(35)
})

test('who disagrees is told with since when, however lately it said so again', async () => {
  const { page } = await visit()
  const [ill] = fleetLike(node, 8).filter(({ verdict }) => verdict === 'suspect')
  await tell(page, plane, { nodes: ill ? [ill] : [] })
  await page.goto('/fleet')
  await page
    .locator('.note')
    .getByText(/\(probe bad for 1\dm\)/)
    .waitFor()
  await page
    .getByRole('row', { name: /probe bad for 1\dm\d\ds, last word \d+s ago/ })
    .getByText(/^1\dm\d\ds$/)
    .waitFor()
})

test('the fleet is narrowed by its map and by each choice, its address keeps that, and each node of the map leads to its page', async () => {
  const { page } = await visit()
  const nodes = fleetLike(node, 60)
  await tell(page, plane, { nodes })
  await page.goto('/fleet')
  const rows = page.getByRole('table', { name: 'Nodes' }).getByRole('row')
  const shows = async (of: (one: NodeView) => boolean) => {
    const names = nodes.filter(of).map(({ name }) => name)
    const shown = async () => (await rows.locator('a.rowlink').allInnerTexts()).map((text) => text.trim()).sort()
    await expect.poll(shown, { timeout: 20_000 }).toEqual(names.sort())
  }
  const at = (cloud: string, region: string) => (one: NodeView) =>
    one.offer.cloud === cloud && one.offer.region === region
  await shows(() => true)
  expect(await page.locator(`a[href="/nodes/no-7"][title*="suspect"]`).count()).toBe(1)
  await page.getByRole('button', { name: 'aws us-east-1' }).click()
  await shows(at('aws', 'us-east-1'))
  await page.reload()
  await shows(at('aws', 'us-east-1'))
  await page.getByLabel('Place', { exact: true }).selectOption('gcp us-west-2')
  await shows(at('gcp', 'us-west-2'))
  await page.getByRole('button', { name: 'Show all' }).click()
  await page.getByLabel('State', { exact: true }).selectOption('to look at')
  await shows(({ verdict }) => verdict === 'suspect')
  await page.getByLabel('State', { exact: true }).selectOption('any state')
  await page.getByLabel('Model', { exact: true }).selectOption('BAAI/bge-m3')
  await shows(({ model }) => model === 'BAAI/bge-m3')
  await page.getByLabel('Billed', { exact: true }).selectOption('not billed')
  await page.getByText('No node is like that.').waitFor()
})

test('markup and escape codes in what others name and print are shown as they are, and a line of 1 MB is bounded', async () => {
  const { page, complaints } = await visit()
  const evil = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
  const lines = [
    { n: 0, at: node.createdAt, source: 'engine' as const, text: `\u001b[31mred\u001b[0m ${evil}` },
    { n: 1, at: node.createdAt, source: 'engine' as const, text: `${'long '.repeat(200_000)}end` },
  ]
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`)
    dialog.dismiss().catch((error: Error) => complaints.push(error.message))
  })
  await tell(page, plane, { nodes: [{ ...node, model: evil, deployment: evil, statusMessage: evil }], lines })
  await page.goto('/fleet')
  await page.getByRole('cell', { name: evil }).first().waitFor()
  await page.goto(`/nodes/${node.id}`)
  const log = page.getByRole('list', { name: /Log/ })
  await log.getByText(evil).waitFor()
  await log.getByText('\\x1b[31mred').waitFor()
  await log.getByText('more characters').waitFor()
  expect((await log.innerText()).length).toBeLessThan(20_000)
})

test('a node whose engine falls ill is told of with who says so and since when, on the start, in the fleet and on its page', async () => {
  const { page } = await visit()
  await page.goto(`/nodes/${node.id}`)
  const witnesses = page.getByRole('table', { name: 'What the witnesses say' }).getByRole('row')
  await witnesses
    .filter({ hasText: 'probe' })
    .getByText(/^good for/)
    .waitFor()
  await setFaults(plane, node.name, { health: 'unavailable' })
  await witnesses
    .filter({ hasText: 'probe' })
    .getByText(/^bad for \d+s/)
    .waitFor()
  await witnesses
    .filter({ hasText: 'heartbeat' })
    .getByText(/^good for/)
    .waitFor()
  await page.getByText('The engine does not answer: no traffic until it does.', { exact: true }).waitFor()
  await page
    .getByText(/-> suspect \(row engine-silent\)/)
    .first()
    .waitFor()
  for (const place of ['Start', 'Fleet']) {
    await page.getByRole('link', { name: place }).first().click()
    const note = page.locator('.note').filter({ hasText: node.name })
    await note.getByText(/is suspect for \d+s \(probe bad for \d+s\)\. The engine does not answer/).waitFor()
  }
  await page.getByRole('row', { name: new RegExp(`${node.name}.*probe bad for \\d+s`) }).waitFor()
})
