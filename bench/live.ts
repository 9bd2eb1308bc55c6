// `npm run bench:live [-- --dashboards=200 --rounds=25 --no-browser]`: how long until open dashboards show what was asked for.
// Each is signed in with a cookie of its own and follows what a page follows; the fleet beside them lives. Control plane
// and database are the real ones, the clock is the one of this process for both ends.
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

const events: Record<string, (plane: FleetPlane, n: number) => Event> = {
  drain: ({ client }, n) => ({
    text: `"id":"no-b${n + 1}"`,
    ask: () => client.drainNode({ params: { id: `no-b${n + 1}` } }),
  }),
  deployment: ({ client }, n) => ({
    text: `deployment-${n}"`,
    onPage: `deployment-${n}`,
    ask: () => client.createDeployment({ body: { name: `deployment-${n}`, model: 'sim-small', wanted: 0 } }),
  }),
  launch: ({ client }, n) => ({
    text: `launch-${n}"`,
    onPage: `launch-${n}`,
    ask: () => client.createLaunch({ body: { model: 'sim-small', deployment: `launch-${n}` } }),
  }),
  key: ({ client }, n) => ({
    text: '"what":["key"]',
    ask: () => client.createKey({ body: { name: `key-${n}` } }),
  }),
  pause: ({ client }, n) => ({
    text: n % 2 === 0 ? `reason ${n}"` : '"pausedReason":null',
    ask: () => client.pause({ body: n % 2 === 0 ? { paused: true, reason: `reason ${n}` } : { paused: false } }),
    // Once automation is resumed, every node is looked at that was not meanwhile.
    restMs: 2_000,
  }),
}

type Delays = Record<string, number[]>

async function measure(plane: FleetPlane, dashboards: readonly Dashboard[], rounds: number): Promise<Delays> {
  const delays: Delays = {}
  for (let n = 0; n < rounds; n++) {
    for (const [name, event] of Object.entries(events)) {
      const happens = event(plane, n)
      await pause(betweenMs * (1 + Math.random()))
      const shown = Promise.all(dashboards.map((dashboard) => dashboard.shows(happens)).filter((one) => one !== null))
      const asked = performance.now()
      const [moments] = await Promise.all([shown, happens.ask()])
      delays[name] = [...(delays[name] ?? []), ...moments.map((moment) => moment - asked)]
      await pause(happens.restMs ?? 0)
    }
  }
  return delays
}

function figuresOf(delays: readonly number[]) {
  const sorted = delays.toSorted((a, b) => a - b)
  const of = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
  return { p50Ms: of(0.5), p99Ms: of(0.99), maxMs: of(1) }
}

/** With the page: first visits of it, and one more dashboard that counts like the others. */
export async function benchLive(page: Pick<typeof import('./live-page.ts'), 'firstVisits' | 'openPage'> | null) {
  const [dashboards, rounds] = [numberOf('dashboards', 200), numberOf('rounds', 25)]
  const plane = await startFleetPlane(nodes, 2 * rounds)
  const open: Dashboard[] = []
  try {
    const visit = page && figuresOf(await page.firstVisits(plane, visits))
    if (page) open.push(await page.openPage(plane))
    const sockets = await openSockets(plane, dashboards - open.length)
    open.push(...sockets)
    const delays = await measure(plane, open, rounds)
    const all = figuresOf(Object.values(delays).flat())
    const each = Object.fromEntries(Object.entries(delays).map(([name, some]) => [name, figuresOf(some)]))
    return {
      bench: 'live',
      sockets: sockets.length,
      browsers: open.length - sockets.length,
      nodes,
      ...all,
      each,
      visit,
    }
  } finally {
    await Promise.all(open.map((one) => one.close()))
    await plane.end()
  }
}

if (import.meta.main) {
  const figures = await benchLive(process.argv.includes('--no-browser') ? null : await import('./live-page.ts'))
  const missed = [
    ...(figures.p99Ms <= barMs ? [] : ['p99Ms']),
    ...(figures.visit && figures.visit.p50Ms > visitBarMs ? ['visit'] : []),
  ]
  console.log(JSON.stringify({ ...figures, met: missed.length === 0, missed }))
  if (missed.length > 0) process.exitCode = 1
}
