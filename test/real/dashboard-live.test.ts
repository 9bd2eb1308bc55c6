import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Plane, startPlane } from '../e2e/plane.ts'
import { seeOff, startBrowser, Visitor } from './browser.ts'

let plane: Plane
let browser: Browser
const visitors: Visitor[] = []

beforeAll(async () => {
  const scripts = { quick: { accessLog: true }, other: {}, hangs: { startupMs: 600_000 } }
  plane = await startPlane({ scripts, config: { queue: { attemptsInFlight: 1 } } })
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

test('a transcript that is open has each line as it is printed, and what happens to the launch and to its node', async () => {
  const { id } = await plane.launched('quick')
  const page = await visit(`/launches/${id}/transcript`)
  const said = page.getByRole('main').getByRole('listitem')
  await plane.reaches(id, ['live'])
  const key = await plane.key()
  expect((await plane.chat('quick', key)).status).toBe(200)
  await said.filter({ hasText: 'POST /v1/chat/completions' }).waitFor()
  const { nodeId } = await plane.reaches(id, ['live'])
  await plane.client.releaseNode({ params: { id: nodeId ?? '' } })
  await plane.reaches(id, ['ended'])
  const { events, lines } = await plane.client.transcript({ params: { id } })
  for (const { text } of events) await said.filter({ hasText: text }).first().waitFor()
  await expect.poll(() => said.count()).toBe(events.length + lines.length)
})

test('in the first step of the wizard a node counts as soon as it is ready', async () => {
  const page = await visit('/launch')
  const row = page.getByRole('row').filter({ has: page.getByRole('button', { name: 'other', exact: true }) })
  const ready = () => row.getByRole('cell').last().innerText()
  await expect.poll(ready, { timeout: 30_000 }).toBe('0')
  const { id } = await plane.launched('other')
  await expect.poll(ready, { timeout: 30_000 }).toBe('1')
  await plane.client.cancelLaunch({ params: { id } })
  await plane.reaches(id, ['cancelled', 'ended'])
})

test('the summary of a launch tells its place in the queue as it moves', async () => {
  const first = await plane.reaches((await plane.launched('hangs')).id, ['attempting'])
  const second = await plane.launched('hangs')
  const page = await visit('/launch?step=summary&model=other')
  await page.getByText('place 2', { exact: true }).waitFor()
  await plane.client.cancelLaunch({ params: { id: first.id } })
  await page.getByText('starts at once', { exact: true }).waitFor()
  await plane.reaches(second.id, ['attempting'])
  await plane.client.cancelLaunch({ params: { id: second.id } })
})
