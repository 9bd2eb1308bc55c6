import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { counted } from '../../web/words/counts.ts'
import { type Plane, startPlane } from '../e2e/plane.ts'
import { seeOff, startBrowser, Visitor } from './browser.ts'
import { chatFromLaunch, launchInSteps, press, releaseServing } from './story.ts'

let plane: Plane
let browser: Browser
const visitors: Visitor[] = []

beforeAll(async () => {
  plane = await startPlane({ scripts: { 'tiny-chat': { startupMs: 1_000, tokensPerS: 40, replyTokens: 12 } } })
  browser = await startBrowser()
})
afterEach(() => seeOff(visitors))
afterAll(async () => {
  await browser?.close()
  await plane?.end()
})

async function arrive(token?: string, width = 1440): Promise<Page> {
  const visitor = await Visitor.arrive(browser, { url: plane.url, width, ...(token === undefined ? {} : { token }) })
  visitors.push(visitor)
  return visitor.page
}

test('from a token to the first token: signed in, launched step by step, asked, and given back', async () => {
  const page = await arrive()
  await page.goto('/')
  await page.getByLabel('Your token').fill(plane.token)
  await press(page, 'Sign in')
  const first = page.getByRole('region', { name: 'Nothing runs, and nothing is billed' })
  const { length: models } = (await plane.client.listModels()).items
  const { length: offers } = (await plane.client.listOffers()).items
  await first.getByText(`${counted(models, 'model')} configured`).waitFor()
  await first.getByText(`${counted(offers, 'offer')} to choose from now`).waitFor()
  await first.getByRole('link', { name: 'Launch a model' }).click()
  await launchInSteps(page, { model: 'tiny-chat', deployment: 'story', offer: /./ })
  await page.getByText('Ready after').waitFor()
  await chatFromLaunch(page)
  await isGivenBack(page, await releaseServing(page))
})

async function isGivenBack(page: Page, id: string): Promise<void> {
  await page.getByText('gone', { exact: true }).first().waitFor()
  expect(await plane.client.showNode({ params: { id } })).toMatchObject({ state: 'gone', billed: 'no' })
  expect(await plane.running('scripted-engine')).toEqual(new Map())
}

test('on a phone the same is done by pressing, from the menu to the machine that is given back', async () => {
  const page = await arrive(plane.token, 390)
  await page.goto('/')
  const pages = page.getByRole('navigation', { name: 'Pages' })
  await press(page, 'Menu')
  await pages.getByRole('link', { name: 'Fleet' }).click()
  await page.getByRole('heading', { name: 'Fleet', level: 1 }).waitFor()
  await pages.waitFor({ state: 'hidden' })
  await page.getByRole('link', { name: 'Launch', exact: true }).click()
  await launchInSteps(page, { model: 'tiny-chat', deployment: 'pocket', offer: /./ })
  await page.getByText('Ready after').waitFor()
  await chatFromLaunch(page)
  await isGivenBack(page, await releaseServing(page))
})

test('a model that no configuration names is launched by where its weights lie, and each text to copy says so', async () => {
  const page = await arrive(plane.token)
  await page.goto('/launch')
  await page.getByLabel('Where its weights lie').fill('/etc/shadow')
  await page.getByRole('alert').getByText('the configuration names it').waitFor()
  await page.getByLabel('Where its weights lie').fill('org/Own-7B')
  await page.getByLabel('Name', { exact: true }).fill('tiny-chat')
  await page.getByRole('alert').getByText('Give this one another name.').waitFor()
  await page.getByLabel('Name', { exact: true }).fill('')
  await press(page, 'Take this one')
  await page.getByText('vllm, org/Own-7B').waitFor()
  await press(page, 'See what it costs')
  await press(page, 'Go on')
  await page.getByText('flightdeck launch own-7b --source org/Own-7B --engine vllm').waitFor()
  await page.getByText('"own":{"source":"org/Own-7B","engine":"vllm"}').waitFor()
  const address = page.url()
  await page.goto('/')
  await page.goto(address)
  await page.getByRole('button', { name: 'Launch for $3.60 / h' }).click()
  await page.getByRole('link', { name: 'Chat with it' }).click()
  await page.getByLabel('Model', { exact: true }).filter({ hasText: 'own-7b (1 ready)' }).waitFor()
  const [deployment] = (await plane.client.listDeployments()).items.filter(({ model }) => model === 'own-7b')
  expect(deployment).toMatchObject({ source: 'org/Own-7B', engine: 'vllm', wanted: 1 })
  // And so is one of the catalogue, whose memory is known.
  await page.goto('/launch?search=Qwen3-8B')
  await press(page, 'Qwen/Qwen3-8B')
  await page.getByText('vllm, Qwen/Qwen3-8B').waitFor()
  await press(page, 'See what it costs')
  await page.getByText(/^weights \d+(\.\d+)? GiB/).waitFor()
})

test('what the wizard cannot ask for is refused in place, with what to do, and what would be refused is not asked', async () => {
  const page = await arrive(plane.token)
  const acts: string[] = []
  page.on('request', (request) => /\/api\/(launches|deployments)$/.test(request.url()) && acts.push(request.method()))
  await page.goto('/launch')
  await press(page, 'tiny-chat')
  const wrong = {
    'Dollars an hour at most': ['$1', 'like 2.50'],
    'GPUs a machine': ['two', 'a whole number'],
    'Arguments of the engine': ['trust-remote-code', 'Leave it out; allowed are: max-model-len'],
    Replicas: ['0', 'a whole number from 1'],
    'Time limit': ['soon', '90s, 20m or 1h30m'],
  }
  for (const [label, [typed = '', remedy = '']] of Object.entries(wrong)) {
    await page.getByLabel(label).fill(typed)
    await page.getByRole('alert').getByText(remedy).waitFor()
    await page.getByLabel(label).fill('')
  }
  expect(await page.getByRole('alert').count()).toBe(0)
  await page.getByLabel('Dollars an hour at most').fill('1')
  await press(page, 'See what it costs')
  await page.getByRole('alert').getByText('No offer has the wished price.').waitFor()
  await page.getByText('leave out a cloud, a region, a GPU or the limit of the price').waitFor()
  await press(page, 'Go on')
  await page.getByText('would be refused, for the reason above').waitFor()
  await page.getByRole('button', { name: 'Launch', exact: true }).click({ force: true })
  expect(acts.filter((method) => method !== 'GET')).toEqual([])
})

test('neither a step back, nor the back button, nor a fresh page loses what was typed into the wizard', async () => {
  const page = await arrive(plane.token)
  await page.goto('/launch')
  await page.getByLabel('Search').fill('tiny')
  await press(page, 'tiny-chat')
  const typed = {
    'Context length, in tokens': '4000',
    'Dollars an hour at most': '9.5',
    'Arguments of the engine': 'seed=7\nmax-num-seqs=8',
    Deployment: 'kept',
    'Time limit': '20m',
  }
  for (const [label, text] of Object.entries(typed)) await page.getByLabel(label).fill(text)
  await page.getByLabel('Spot machines').selectOption('first')
  const isAllThere = async () => {
    for (const [label, text] of Object.entries(typed))
      await expect.poll(() => page.getByLabel(label).inputValue(), { message: label }).toBe(text)
    expect(await page.getByLabel('Spot machines').inputValue()).toBe('first')
  }
  await press(page, 'See what it costs')
  await page
    .getByRole('table', { name: /^Offers/ })
    .getByRole('radio')
    .check()
  await press(page, 'Go on')
  await page.getByText(/^flightdeck launch tiny-chat --deployment kept/).waitFor()
  const summary = page.url()
  await press(page, 'Back')
  await press(page, 'Back')
  await isAllThere()
  await press(page, 'Back')
  expect(await page.getByLabel('Search').inputValue()).toBe('tiny')
  // To the first time that the configuration was opened, before anything was typed there.
  for (let steps = 0; steps < 5; steps++) await page.goBack()
  await isAllThere()
  await page.reload()
  await isAllThere()
  await page.goto(summary)
  await page.getByText(/^flightdeck launch tiny-chat --deployment kept/).waitFor()
})
