import { mkdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { setFaults } from '../e2e/engine-faults.ts'
import { type Plane, startPlane, until } from '../e2e/plane.ts'
import { startBrowser, Visitor } from './browser.ts'
import { emptyPages, everyPage, type Pages, refusedSteps } from './every-page.ts'

const folder = join(import.meta.dirname, '../../dist/screenshots')
const looks = ['light', 'dark'] as const
const widths = [1440, 390] as const
// Smaller than a page with nothing on it.
const blankBytes = 6_000

let plane: Plane
let browser: Browser

beforeAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const scripts = {
    'Qwen/Qwen3-32B': { startupMs: 1_500, ttftMs: 40, tokensPerS: 60 },
    'BAAI/bge-m3': { startupMs: 800 },
    'mistralai/Devstral-24B': { startupMs: 3_600_000 },
    'fails/out-of-memory': { startupMs: 500, faults: { startFailure: 'weights_oom' } },
  }
  plane = await startPlane({
    scripts,
    config: { launch: { rounds: 1, triesPerOffer: 1 } },
    local: { pricePerHourUsd: 1.89 },
  })
  browser = await startBrowser()
})
afterAll(async () => {
  await browser?.close()
  await plane?.end()
})

/** Each page in each look and width, as it is now. */
async function take(mood: string, pages: Pages, token: string | null = plane.token): Promise<void> {
  for (const look of looks)
    for (const width of widths) {
      const visitor = await Visitor.arrive(browser, {
        url: plane.url,
        width,
        look,
        ...(token === null ? {} : { token }),
      })
      for (const [name, path] of Object.entries(pages)) {
        await visitor.page.goto(path)
        await visitor.page.getByRole('heading', { level: 1 }).waitFor()
        await visitor.page.waitForLoadState('networkidle')
        const file = join(folder, `${name}-${mood}-${width}-${look}.png`)
        await visitor.page.screenshot({ path: file, fullPage: true })
        expect(statSync(file).size, file).toBeGreaterThan(blankBytes)
      }
      expect(visitor.complaints).toEqual([])
      await visitor.leave()
    }
}

test('every page has its picture, empty, busy and broken, at 1440 and 390 pixels, light and dark', async () => {
  await take('out', { 'sign-in': '/' }, null)
  await take('empty', emptyPages)

  const [live, ill] = await Promise.all([
    plane.launched('Qwen/Qwen3-32B', { deployment: 'chat' }).then(({ id }) => plane.reaches(id, ['live'], 60_000)),
    plane.launched('Qwen/Qwen3-32B', { deployment: 'chat' }).then(({ id }) => plane.reaches(id, ['live'], 60_000)),
    plane.launched('BAAI/bge-m3', { deployment: 'embed' }).then(({ id }) => plane.reaches(id, ['live'], 60_000)),
    plane.client.createOperator({ body: { name: 'grace', role: 'operator' } }),
    plane.client.createOperator({ body: { name: 'edsger', role: 'viewer' } }),
  ])
  const key = await plane.key('notebook')
  await Promise.all(Array.from({ length: 20 }, () => plane.chat('Qwen/Qwen3-32B', key, { max_tokens: 20 })))
  const loads = await plane.launched('mistralai/Devstral-24B', { deployment: 'code' })
  const isLoading = async () => (await plane.client.showLaunch({ params: { id: loads.id } })).phase.startsWith('engine')
  await until(isLoading, 60_000, () => 'the slow engine does not start')
  await take('busy', { ...everyPage(live), launch: `/launches/${loads.id}` })

  const failed = await plane.launched('fails/out-of-memory', { deployment: 'code-large' })
  await plane.reaches(failed.id, ['failed'], 60_000)
  await plane.client.pause({ body: { paused: true, reason: 'looking into the out-of-memory of code-large' } })
  await setFaults(plane, ill.attempts.at(-1)?.nodeName ?? '', { health: 'unavailable' })
  const isAccused = async () => (await plane.node(ill)).verdict === 'suspect'
  await until(isAccused, 180_000, () => 'nobody accuses the engine that is not well')
  const { launch, transcript } = everyPage(failed)
  await take('broken', { ...everyPage(ill), ...refusedSteps(ill.model), launch, transcript } as Pages)
})
