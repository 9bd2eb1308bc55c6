// The dashboard that a person looks at, in Debian's chromium: two of its pages, timed at the drawing of what is new.
import { startBrowser, Visitor } from '../test/real/browser.ts'
import { tasksOfScrolling } from '../test/real/page-tasks.ts'
import { fleetLike, tell } from '../test/real/told-fleet.ts'
import type { FleetPlane } from './fleet-plane.ts'
import { type Dashboard, giveUpMs } from './live-dashboard.ts'

/** Resolves in the page with the epoch time, in ms with fractions, of the first frame that shows all the texts in one place. */
const seen = (texts: readonly string[]) => `new Promise((resolve, reject) => {
  const texts = ${JSON.stringify(texts)}
  const look = () => {
    const places = [...document.querySelectorAll('[role=row], .note')]
    if (!places.some(({ innerText }) => texts.every((text) => innerText.includes(text)))) return
    observer.disconnect()
    clearTimeout(late)
    requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()))
  }
  const observer = new MutationObserver(look)
  const late = setTimeout(() => reject(new Error('never shown: ' + texts)), ${giveUpMs})
  observer.observe(document.body, { childList: true, subtree: true, characterData: true })
  look()
})`

/** How long each of so many first visits takes, in ms: from its beginning, nothing cached, to the frame that shows the data. */
export async function firstVisits({ url, adminToken }: FleetPlane, count: number): Promise<number[]> {
  const browser = await startBrowser()
  const took: number[] = []
  for (let i = 0; i < count; i++) {
    const visitor = await Visitor.arrive(browser, { url, token: adminToken })
    await visitor.page.goto('/deployments', { waitUntil: 'domcontentloaded' })
    const shown = (await visitor.page.evaluate(seen(['sim-small']))) as number
    took.push(shown - ((await visitor.page.evaluate('performance.timeOrigin')) as number))
    await visitor.leave()
  }
  await browser.close()
  return took
}

/** The longest task of scrolling through so many nodes, in ms of the processor; the page is told of them by the bench. */
export async function longestTask({ url, adminToken, client }: FleetPlane, nodes: number): Promise<number> {
  const browser = await startBrowser()
  const visitor = await Visitor.arrive(browser, { url, token: adminToken })
  const [node] = (await client.listNodes({ query: { limit: 1 } })).items
  if (!node) throw new Error('the plane has no node')
  await tell(visitor.page, { client }, { nodes: fleetLike(node, nodes) })
  await visitor.page.goto('/fleet')
  await visitor.page.getByText(`${nodes.toLocaleString('en-US')} nodes on`).waitFor()
  const tasks = await tasksOfScrolling(visitor.page, nodes)
  await visitor.leave()
  await browser.close()
  return Math.max(...tasks)
}

/** The page of one person, who looks at the fleet while nodes are drained and at the deployments otherwise: each timed apart. */
export async function openPage(plane: FleetPlane): Promise<{ deployments: Dashboard; fleet: Dashboard }> {
  const browser = await startBrowser()
  const visitor = await Visitor.arrive(browser, { url: plane.url, token: plane.adminToken })
  const { page } = visitor
  const sees = async (texts: readonly string[]) => Number(await page.evaluate(seen(texts))) - performance.timeOrigin
  const goTo = async (name: 'Deployments' | 'Fleet') => {
    if (new URL(page.url()).pathname === `/${name.toLowerCase()}`) return
    const pages = page.getByRole('navigation', { name: 'Pages' })
    await pages.getByRole('link', { name: new RegExp(`^${name}`) }).click()
    await sees(['sim-small'])
  }
  await page.goto('/deployments')
  await sees(['sim-small'])
  return {
    deployments: {
      expects: async ({ onPage }) => (onPage ? goTo('Deployments') : undefined),
      shows: ({ onPage }) => (onPage ? sees(onPage) : null),
      async close() {
        await visitor.leave()
        await browser.close()
      },
    },
    fleet: {
      async expects({ drains }) {
        if (!drains) return
        await goTo('Fleet')
        await page.getByLabel('Find nodes').fill(drains)
      },
      shows: ({ drains }) => (drains ? sees([drains.replace('no-', ''), 'draining']) : null),
      // Who is asked to drain does so with the next step of the node's loop.
      async happened({ drains = '' }) {
        const { stateSince } = await plane.client.showNode({ params: { id: drains } })
        return Date.parse(stateSince) - performance.timeOrigin
      },
      close: async () => undefined,
    },
  }
}
