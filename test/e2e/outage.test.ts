import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signalProcess } from '../../src/clouds/local/processes.ts'
import { pause } from '../../src/lib/clock.ts'
import type { NodeDetail } from '../../src/wire/views.ts'
import { PlaneClock } from './clock.ts'
import { type Plane, startPlane, until } from './plane.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const graceS = 2
// A lease of four hours at a scale of 1:720, on which an hour away is five seconds.
const leaseS = 20
const awayMs = 5_000
const betweenLooksMs = 50
const loops = ['health', 'node', 'sight']

const clock = new PlaneClock()
let plane: Plane
let key: string
let nodeId: string
let launchId: string
let machines: Map<string, number[]>

beforeAll(async () => {
  plane = await startPlane({ scripts: { steady: {} }, config: { graceS, leaseS }, nodeArgs: clock.nodeArgs })
  const launch = await plane.launched('steady')
  const live = await plane.reaches(launch.id, ['live'], 60_000)
  launchId = launch.id
  nodeId = (await plane.node(live)).id
  key = await plane.key()
  machines = await plane.machines()
}, 120_000)
afterAll(async () => {
  await plane?.end()
  clock.end()
})

const shown = (): Promise<NodeDetail> => plane.client.showNode({ params: { id: nodeId } })

async function serves(): Promise<void> {
  expect((await plane.chat('steady', key)).status).toBe(200)
}

/** The same machines with the same processes, one launch, one attempt; and nothing of the bill runs backwards. */
async function fleetIsIntact(): Promise<void> {
  expect(await plane.machines()).toEqual(machines)
  const node = await shown()
  expect(node).toMatchObject({ state: 'ready', billed: 'yes', failure: null })
  const launches = (await plane.client.listLaunches({})).items
  expect(launches.map(({ id, state }) => [id, state])).toEqual([[launchId, 'live']])
  for (const { openedAt, closedAt, costMicroUsd } of node.ledger) {
    expect(Date.parse(closedAt ?? openedAt)).toBeGreaterThanOrEqual(Date.parse(openedAt))
    expect(costMicroUsd).toBeGreaterThanOrEqual(0)
  }
}

async function servesFor(ms: number): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; await pause(betweenLooksMs)) await serves()
}

test.each([
  ['forward by an hour', hourMs],
  ['back by an hour', 0],
])(
  'the clock jumps %s: nothing is released, no lease ends, the bill is not negative, and the loops go on',
  async (_, wrongByMs) => {
    await clock.jumpTo(plane, wrongByMs, loops)
    // What the grace held back would be done now.
    await servesFor(graceS * 1_000)
    await clock.passes(plane, loops)
    await fleetIsIntact()
    await until(
      async () => (await shown()).verdict === 'healthy',
      30_000,
      () => 'the node is not well by the new time',
    )
  },
  180_000,
)

test('the control plane is killed and started again five minutes later: requests go on, the fleet is as it was', async () => {
  await plane.signal('SIGKILL')
  await serves()
  clock.set(5 * minuteMs)
  await plane.start()
  // The first words of the agent come before the first of the gateway: it must not be told that there is none.
  await servesFor((graceS + 3) * 1_000)
  await clock.passes(plane, loops)
  await fleetIsIntact()
}, 120_000)

const gatewayPid = () => (JSON.parse(readFileSync(`${plane.dir}/gateway/process.json`, 'utf8')) as { pid: number }).pid

/** Nobody is left whom an agent could hear. */
async function goAway(): Promise<void> {
  await plane.signal('SIGKILL')
  signalProcess(gatewayPid(), 'SIGKILL')
}

test('control plane and gateway away for an hour, a quarter of the lease: the fleet is as it was', async () => {
  await goAway()
  for (const end = Date.now() + awayMs; Date.now() < end; await pause(betweenLooksMs))
    expect(await plane.machines()).toEqual(machines)
  clock.set(5 * minuteMs + hourMs)
  await plane.start()
  await until(
    async () => (await plane.chat('steady', key).catch(() => null))?.status === 200,
    30_000,
    () => 'it does not serve again',
  )
  await servesFor(graceS * 1_000)
  await clock.passes(plane, loops)
  await fleetIsIntact()
}, 120_000)

test('both away for longer than the lease: the node ends itself with its engine, and its bill is closed once somebody looks', async () => {
  await goAway()
  const wentAt = Date.now()
  await until(
    async () => (await plane.machines()).size === 0,
    (leaseS + 30) * 1_000,
    () => 'the node outlives its lease',
  )
  expect(Date.now() - wentAt).toBeGreaterThan((leaseS - 5) * 1_000)
  await plane.start()
  await until(
    async () => (await shown()).state === 'gone',
    60_000,
    () => 'nobody notices that it is gone',
  )
  const { billed, ledger, goneAt } = await shown()
  expect([billed, ledger.at(-1)?.closedAt]).toEqual(['no', goneAt])
}, 180_000)
