import type { Page } from 'playwright-core'

interface TraceEvent {
  readonly name: string
  readonly ph: string
  readonly pid: number
  readonly tid: number
  /** Of the processor, in microseconds: what others on this machine do does not count. Not told of every task. */
  readonly tdur?: number
  /** On the wall, in microseconds; of the task in which the tracing ends nothing is told. */
  readonly dur?: number
  readonly args: { readonly name?: string }
}

/** How long the tasks of the page's own thread took of the processor meanwhile, in ms. */
export async function tasksDuring(page: Page, work: () => Promise<void>): Promise<number[]> {
  const browser = page.context().browser()
  if (!browser) throw new Error('the page has no browser of its own')
  await browser.startTracing(page, { categories: ['toplevel', '__metadata'] })
  await work()
  const { traceEvents } = JSON.parse(String(await browser.stopTracing())) as { traceEvents: TraceEvent[] }
  const threadOf = ({ pid, tid }: TraceEvent) => `${pid}:${tid}`
  const main = new Set(
    traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(threadOf),
  )
  return traceEvents
    .filter((event) => event.ph === 'X' && event.name.endsWith('RunTask') && main.has(threadOf(event)))
    .flatMap(({ tdur, dur }) => tdur ?? dur ?? [])
    .map((us) => us / 1_000)
}

/** A fleet of so many nodes under the wheel, a hand's breadth at a time and then in leaps to its end: its tasks, in ms. */
export function tasksOfScrolling(page: Page, nodes: number): Promise<number[]> {
  return tasksDuring(page, async () => {
    await page.getByRole('table', { name: 'Nodes' }).getByRole('row').nth(5).hover()
    for (let i = 0; i < 100; i++) await page.mouse.wheel(0, 240)
    // No row is higher than 40 px. Its head is a row as well.
    for (let i = 0; i < nodes; i += 100) await page.mouse.wheel(0, 4_000)
    await page.locator(`[role="row"][aria-rowindex="${nodes + 1}"]`).waitFor()
  })
}
