import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Plane, startPlane } from '../e2e/plane.ts'
import { seeOff, startBrowser, Visitor } from './browser.ts'

const tooLong =
  'ValueError: User-specified max_model_len (65536) is greater than the derived max_model_len (max_position_embeddings=40960).'

let plane: Plane
let browser: Browser
const visitors: Visitor[] = []

beforeAll(async () => {
  const scripts = { slow: { startupMs: 120_000 }, wrong: { says: [tooLong] }, dies: { faults: { exitCode: 3 } } }
  plane = await startPlane({ scripts, config: { launch: { rounds: 1, triesPerOffer: 2 } } })
  browser = await startBrowser()
})
afterEach(() => seeOff(visitors))
afterAll(async () => {
  await browser?.close()
  await plane?.end()
})

async function visit(path: string, token = plane.token): Promise<Visitor['page']> {
  const visitor = await Visitor.arrive(browser, { url: plane.url, token })
  visitors.push(visitor)
  await visitor.page.goto(path)
  return visitor.page
}

test('a launch that failed says why and what to do, and asks for just that in one click', async () => {
  const { id } = await plane.reaches((await plane.launched('wrong')).id, ['failed'])
  const page = await visit(`/launches/${id}`)
  await page.getByRole('alert').getByText('Set max-model-len to 40960 or less.').waitFor()
  await page.getByRole('button', { name: 'Launch again' }).click()
  await page.waitForURL((url) => url.pathname.startsWith('/launches/') && !url.pathname.endsWith(id))
  const again = new URL(page.url()).pathname.split('/').at(-1) ?? ''
  const asked = await plane.client.showLaunch({ params: { id: again } })
  expect(asked).toMatchObject({ model: 'wrong', engineArgs: { 'max-model-len': 40_960 } })
})

test('a launch is cancelled after saying what that ends, and whoever watches reads by whom', async () => {
  const { id, deployment } = await plane.launched('slow')
  await plane.reaches(id, ['attempting'])
  const { token } = await plane.client.createOperator({ body: { name: 'otto', role: 'operator' } })
  const [watcher, otto] = await Promise.all([visit(`/launches/${id}`), visit(`/launches/${id}`, token)])
  await otto.getByRole('button', { name: 'Cancel' }).click()
  await otto.getByRole('dialog').getByText(`The deployment ${deployment} wants one replica less`).waitFor()
  await otto.getByRole('button', { name: 'Leave it' }).click()
  await otto.getByRole('button', { name: 'Cancel' }).click()
  await otto.getByRole('button', { name: 'Cancel the launch' }).click()
  await otto.getByRole('dialog').waitFor({ state: 'detached' })
  for (const [page, who] of [
    [otto, 'You'],
    [watcher, 'otto'],
  ] as const) {
    await page.getByText(`${who} cancelled it.`).waitFor()
    await page.getByText('Nothing of it is left running.').waitFor()
  }
  const { state, nodeId } = await plane.client.showLaunch({ params: { id } })
  expect(state).toBe('cancelled')
  expect(nodeId && (await plane.client.showNode({ params: { id: nodeId } })).state).toBe('gone')
})

test('each attempt of a launch has its phases, its log and why it failed, at an address of its own', async () => {
  const { id, attempts } = await plane.reaches((await plane.launched('dies')).id, ['failed'], 60_000)
  const [first, second] = attempts
  const page = await visit(`/launches/${id}`)
  await page.getByText('2 so far').waitFor()
  await page.getByText('attempt 2 of 2').waitFor()
  await page.getByRole('heading', { name: `Log of ${second?.nodeName}` }).waitFor()
  await page.getByRole('button', { name: 'Its phases and log' }).click()
  await page.getByText('attempt 1 of 2').waitFor()
  await page.reload()
  await page.getByRole('heading', { name: `Log of ${first?.nodeName}` }).waitFor()
  for (const attempt of attempts) {
    const item = page.getByRole('listitem').filter({ hasText: attempt.nodeName })
    await item
      .getByText(attempt.failure?.cause ?? '')
      .first()
      .waitFor()
    await item
      .getByText(attempt.failure?.remedy ?? '')
      .first()
      .waitFor()
  }
  expect(attempts).toHaveLength(2)
})

test('the transcript of a launch has an address of its own to send around, and is copied as text', async () => {
  const { id } = await plane.reaches((await plane.launched('wrong')).id, ['failed'])
  const page = await visit(`/launches/${id}`)
  await page.getByRole('link', { name: 'Transcript' }).click()
  await page.getByText(tooLong).waitFor()
  const { token } = await plane.client.createOperator({ body: { name: 'vera', role: 'viewer' } })
  const hers = await visit(new URL(page.url()).pathname, token)
  await hers.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await hers.getByText(tooLong).waitFor()
  await hers.getByRole('button', { name: 'Copy as text' }).click()
  await hers.getByText('Copied').first().waitFor()
  const copied = String(await hers.evaluate('navigator.clipboard.readText()'))
  const { lines, events } = await plane.client.transcript({ params: { id } })
  expect(copied.trim().split('\n')).toHaveLength(lines.length + events.length)
  expect(copied).toContain(tooLong)
  await hers.getByRole('link', { name: 'The launch' }).click()
  await hers.getByText('Set max-model-len to 40960 or less.').first().waitFor()
})

test('a key is shown once, opens the gateway, and is refused by name before the API is asked', async () => {
  const page = await visit('/keys')
  await page.getByRole('button', { name: 'Make a key' }).click()
  await page.getByLabel('Name').fill('Bad <b>name</b>')
  await page.getByRole('button', { name: 'Make the key' }).click()
  await page.getByRole('alert').getByText('Use lower case letters').waitFor()
  await page.getByLabel('Name').fill('team-chat')
  await page.getByRole('button', { name: 'Make the key' }).click()
  const key = await page
    .getByRole('dialog', { name: 'The key team-chat' })
    .getByText(/^fd_key_/)
    .innerText()
  const models = () => fetch(`${plane.gatewayUrl}/v1/models`, { headers: { authorization: `Bearer ${key}` } })
  await expect.poll(async () => (await models()).status).toBe(200)
  await page.getByRole('button', { name: 'I have copied it' }).click()
  await page.getByRole('button', { name: 'Revoke team-chat' }).click()
  expect(await page.content()).not.toContain(key)
  await page.getByRole('button', { name: 'Revoke it' }).click()
  await page.getByText('revoked', { exact: true }).waitFor()
  await expect.poll(async () => (await models()).status).toBe(401)
})
