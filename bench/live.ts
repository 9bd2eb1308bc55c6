// `npm run bench:live [-- --dashboards=200 --rounds=25 --no-browser]`: how long until open dashboards show what was asked for.
// Each is signed in with a cookie of its own and follows what a page follows; the fleet beside them lives. Control plane
// and database are the real ones, the clock is the one of this process for both ends.
import { loadavg } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { type FleetPlane, startFleetPlane } from './fleet-plane.ts'
import { type Dashboard, type Event, Socket } from './live-dashboard.ts'

const numberOf = (name: string, usual: number): number =>
  Number(process.argv.find((argument) => argument.startsWith(`--${name}=`))?.split('=')[1] ?? usual)
const nodes = 300
const barMs = 250
const visits = 10
const visitBarMs = 1_000
const betweenMs = 200
const [scrolledNodes, taskBarMs] = [10_000, 50]

/** One person has a few sessions only, so there is somebody for every ten dashboards. */
async function openSockets({ client, url }: FleetPlane, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let i = 0; i < count; i += 10) {
    const { token } = await client.createOperator({ body: { name: `reader-${i}`, role: 'viewer' } })
    const some = Array.from({ length: Math.min(10, count - i) }, () => Socket.open(url, token))
    sockets.push(...(await Promise.all(some)))
  }
  return sockets
}

// So often is what was made paused and resumed in a round: what a page shows is worth a p99 only after hundreds of events.
const flips = 6
const drains = 2

/** What is asked for in one round, one after the other. */
function* roundOf({ client }: FleetPlane, n: number): Generator<Event> {
  for (let i = 1; i <= drains; i++) {
    const id = `no-b${drains * n + i}`
    yield { name: 'drain', text: `"id":"${id}"`, drains: id, ask: () => client.drainNode({ params: { id } }) }
  }
  // The last to be made is the first by name: a page draws the rows that are in sight.
  const first = `a${9_999 - n}`
  const made = Promise.withResolvers<string>()
  const name = `${first}-made`
  yield {
    name: 'deployment',
    text: `${name}"`,
    onPage: [name],
    ask: async () => {
      const { id } = await client.createDeployment({ body: { name, model: 'sim-small', wanted: 0 } })
      made.resolve(id)
    },
  }
  for (let i = 0; i < flips; i++) {
    const paused = i % 2 === 0
    yield {
      name: 'flip',
      onPage: [name, paused ? 'paused' : 'none wanted'],
      ask: async () => client.pauseDeployment({ params: { id: await made.promise }, body: { paused } }),
    }
  }
  const launched = Promise.withResolvers<string>()
  yield {
    name: 'launch',
    text: `${first}-launched"`,
    onPage: [`${first}-launched`],
    ask: async () => {
      const launch = await client.createLaunch({ body: { model: 'sim-small', deployment: `${first}-launched` } })
      if ('dryRun' in launch || launch.deploymentId === null) throw new Error('nothing was launched')
      launched.resolve(launch.deploymentId)
    },
  }
  // No machine of it ever joins: it would be told of each second to the end of the last round.
  yield {
    name: 'scale',
    onPage: [`${first}-launched`, 'none wanted'],
    ask: async () => client.scaleDeployment({ params: { id: await launched.promise }, body: { wanted: 0 } }),
  }
  yield {
    name: 'key',
    text: '"key"',
    ask: () => client.createKey({ body: { name: `key-${n}` } }),
  }
  if (n % 2 > 0) return
  const reason = `reason ${n}`
  const paused = () => client.pause({ body: { paused: true, reason } })
  yield { name: 'pause', text: `${reason}"`, onPage: [reason], restMs: 2_000, ask: paused }
  const resumed = () => client.pause({ body: { paused: false } })
  // Every node is looked at then that was not meanwhile.
  yield { name: 'pause', text: '"pausedReason":null', restMs: 2_000, ask: resumed }
}

/** How long each dashboard took for each event of a kind, in ms from before it was asked for, or from when it happened. */
type Delays = Map<string, number[]>

async function measure(plane: FleetPlane, audiences: ReadonlyMap<readonly Dashboard[], Delays>, rounds: number) {
  for (let n = 0; n < rounds; n++) {
    for (const event of roundOf(plane, n)) {
      await Promise.all([...audiences.keys()].flat().map((dashboard) => dashboard.expects?.(event)))
      await pause(betweenMs * (1 + Math.random()))
      const tookMs = async (dashboard: Dashboard, shown: Promise<number>) =>
        (await shown) - ((await dashboard.happened?.(event)) ?? asked)
      const shown = [...audiences].map(async ([dashboards, delays]) => {
        const took = await Promise.all(
          dashboards.flatMap((dashboard) => {
            const moment = dashboard.shows(event)
            return moment ? tookMs(dashboard, moment) : []
          }),
        )
        if (took.length > 0) delays.set(event.name, [...(delays.get(event.name) ?? []), ...took])
      })
      const asked = performance.now()
      await Promise.all([...shown, event.ask()])
      await pause(event.restMs ?? 0)
    }
  }
}

interface Figures {
  readonly samples: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

function figuresOf(delays: readonly number[]): Figures {
  const sorted = delays.toSorted((a, b) => a - b)
  const of = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
  return { samples: delays.length, p50Ms: of(0.5), p99Ms: of(0.99), maxMs: of(1) }
}

const allOf = (delays: Delays): Figures => figuresOf([...delays.values()].flat())
const eachOf = (delays: Delays): Record<string, Figures> =>
  Object.fromEntries([...delays].map(([name, some]) => [name, figuresOf(some)]))

/** With the page: first visits of it, and one dashboard more, whose figures stand apart. */
export async function benchLive(
  page: Pick<typeof import('./live-page.ts'), 'firstVisits' | 'longestTask' | 'openPage'> | null,
) {
  const [dashboards, rounds] = [numberOf('dashboards', 200), numberOf('rounds', 25)]
  const plane = await startFleetPlane(nodes, 2 * rounds)
  const open: Dashboard[] = []
  try {
    const visit = page && figuresOf(await page.firstVisits(plane, visits))
    const scrollTaskMs = page && Math.round(await page.longestTask(plane, scrolledNodes))
    const pages = await page?.openPage(plane)
    if (pages) open.push(pages.deployments)
    const sockets = await openSockets(plane, dashboards - (pages ? 1 : 0))
    open.push(...sockets)
    const [ofSockets, ofPage, ofFleet]: [Delays, Delays, Delays] = [new Map(), new Map(), new Map()]
    const before = loadavg()
    await measure(
      plane,
      new Map<readonly Dashboard[], Delays>([
        [sockets, ofSockets],
        ...(pages
          ? ([
              [[pages.deployments], ofPage],
              [[pages.fleet], ofFleet],
            ] as const)
          : []),
      ]),
      rounds,
    )
    return {
      bench: 'live',
      dashboards: { sockets: sockets.length, browsers: pages ? 1 : 0 },
      nodes,
      load: [before[0], loadavg()[0]],
      sockets: allOf(ofSockets),
      page: page && allOf(ofPage),
      fleetPage: page && allOf(ofFleet),
      visit,
      scrollTaskMs,
      each: { sockets: eachOf(ofSockets), page: eachOf(ofPage), fleetPage: eachOf(ofFleet) },
    }
  } finally {
    for (const one of open) await one.close()
    await plane.end()
  }
}

if (import.meta.main) {
  const figures = await benchLive(process.argv.includes('--no-browser') ? null : await import('./live-page.ts'))
  const { sockets, page, fleetPage, visit, scrollTaskMs } = figures
  const missed = [
    ...(sockets.p99Ms <= barMs ? [] : ['sockets.p99Ms']),
    ...(page && page.p99Ms > barMs ? ['page.p99Ms'] : []),
    ...(fleetPage && fleetPage.p99Ms > barMs ? ['fleetPage.p99Ms'] : []),
    ...(visit && visit.p50Ms > visitBarMs ? ['visit.p50Ms'] : []),
    ...(scrollTaskMs && scrollTaskMs > taskBarMs ? ['scrollTaskMs'] : []),
  ]
  console.log(JSON.stringify({ ...figures, met: missed.length === 0, missed }))
  if (missed.length > 0) process.exitCode = 1
}
