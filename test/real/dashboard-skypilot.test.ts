import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Plane } from '../e2e/plane.ts'
import { seeOff, startBrowser, Visitor } from './browser.ts'
import { billIsClosed, startSkyPlane } from './sky-plane.ts'
import { deadline, nothingIsLeft, slurmRig } from './slurm-rig.ts'
import { chatFromLaunch, launchInSteps, releaseServing } from './story.ts'

let url: string
let plane: Plane
let browser: Browser
const visitors: Visitor[] = []

beforeAll(async () => {
  url = await slurmRig.up()
  plane = await startSkyPlane(url, { scripts: { 'tiny-chat': { tokensPerS: 40, replyTokens: 12 } } })
  browser = await startBrowser()
})
afterEach(() => seeOff(visitors))
afterAll(async () => {
  await browser?.close()
  await plane?.end()
  await slurmRig.down()
})

test('a machine of the real SkyPilot is chosen, watched, asked and given back in the browser', async () => {
  const visitor = await Visitor.arrive(browser, plane)
  visitors.push(visitor)
  const { page } = visitor
  await page.goto('/launch')
  await launchInSteps(page, { model: 'tiny-chat', deployment: 'rented', offer: /lab\/main/ })
  const steps = page.getByRole('listitem')
  for (const phase of ['requesting', 'booting', 'engine start'])
    await steps.filter({ hasText: phase }).first().waitFor(deadline)
  await page.getByText('Ready after').waitFor(deadline)
  await chatFromLaunch(page)
  const id = await releaseServing(page)
  await page.getByText('gone', { exact: true }).first().waitFor(deadline)
  const node = await plane.client.showNode({ params: { id } })
  expect(node.offer).toMatchObject({ cloud: 'slurm', region: 'lab/main' })
  billIsClosed(node)
  await nothingIsLeft(url, plane)
})
