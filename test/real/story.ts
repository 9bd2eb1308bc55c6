import type { Page } from 'playwright-core'
import { expect } from 'vitest'

/** Of a simulated engine whose replies are 12 tokens long. */
export interface Story {
  readonly model: string
  readonly deployment: string
  /** What stands in the row of the offer; the first such is taken. */
  readonly offer: RegExp
}

export const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()

/** Step by step through the wizard to the page of the launch. */
export async function launchInSteps(page: Page, { model, deployment, offer }: Story): Promise<void> {
  await press(page, model)
  await page.getByLabel('Deployment').fill(deployment)
  await press(page, 'See what it costs')
  const offers = page.getByRole('table', { name: /^Offers/ })
  await offers.getByRole('row', { name: offer }).getByRole('radio').first().check()
  await press(page, 'Go on')
  await page.getByText(`flightdeck launch ${model} --deployment ${deployment}`).waitFor()
  await page.getByRole('button', { name: /^Launch for \$\d+\.\d\d \/ h$/ }).click()
  await page.waitForURL((url) => url.pathname.startsWith('/launches/'))
}

/** From the page of a launch that serves to a streamed answer, and what is told of it. */
export async function chatFromLaunch(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Chat with it' }).click()
  await page.getByLabel('Message').fill('hello')
  await page.keyboard.press('Enter')
  const answer = page.getByRole('article').getByRole('status')
  // Whatever else it ends as is told by the failure.
  await expect.poll(() => answer.innerText(), { timeout: 60_000 }).toMatch(/^complete$/m)
  await answer.getByText(/^first token after [\d,]+ ms$/).waitFor()
  await answer.getByText(/^[\d.]+ tokens\/s$/).waitFor()
  await answer.getByText('12 tokens', { exact: true }).waitFor()
}

/** From an answer to the page of the node that gave it, where it is released. Returns its id, once it was asked for. */
export async function releaseServing(page: Page): Promise<string> {
  await page
    .getByRole('article')
    .getByRole('status')
    .getByText(/^served by/)
    .getByRole('link')
    .click()
  await page.waitForURL((url) => url.pathname.startsWith('/nodes/'))
  await page.getByRole('button', { name: 'Drain, release or hold …' }).click()
  await page.getByRole('radio', { name: /^Release/ }).check()
  await press(page, 'Release it now')
  return new URL(page.url()).pathname.split('/').at(-1) ?? ''
}
