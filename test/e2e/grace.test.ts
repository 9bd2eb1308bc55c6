import { afterEach, beforeEach, expect, test } from 'vitest'
import { signalProcess } from '../../src/clouds/local/processes.ts'
import { pause } from '../../src/lib/clock.ts'
import { query } from '../../src/store/test-database.ts'
import type { NodeDetail } from '../../src/wire/views.ts'
import { PlaneClock } from './clock.ts'
import { ledgerIsWhole, type Plane, type PlaneOptions, startPlane, until } from './plane.ts'
import { startServer, type TestServer } from './server.ts'

let plane: Plane
let server: TestServer
let clock: PlaneClock
beforeEach(() => {
  clock = new PlaneClock()
})
afterEach(async () => {
  await plane?.end()
  await server?.end()
  clock.end()
})

// Some passes of the health loop, which come each 5 s.
const graceS = 16
const looksMs = 50

async function planeWith(options: PlaneOptions): Promise<void> {
  server = await startServer()
  plane = await startPlane({ ...options, databaseUrl: server.url, config: { graceS }, nodeArgs: clock.nodeArgs })
}

/** When the timeline tells of it first; NaN while it does not. */
const toldAt = ({ timeline }: NodeDetail, text: RegExp): number =>
  Date.parse(timeline.find((event) => text.test(event.text))?.at ?? '')

interface Hung {
  readonly name: string
  readonly shown: () => Promise<NodeDetail>
}

/** The one node of a control plane with room for one machine: nothing can take its place, so it is its death that ends it. */
async function hungNode(): Promise<Hung> {
  await planeWith({ scripts: { quick: {} }, local: { maxMachines: 1 } })
  const launch = await plane.launched('quick')
  const { id, name } = await plane.node(await plane.reaches(launch.id, ['live'], 60_000))
  for (const pid of (await plane.running('scripted-engine')).get(name) ?? []) signalProcess(pid, 'SIGSTOP')
  const shown = () => plane.client.showNode({ params: { id } })
  await until(
    async () => (await shown()).verdict === 'suspect' && (await plane.client.status()).guard === null,
    90_000,
    () => 'nobody notices that the engine hangs, or the grace of the start does not end',
  )
  return { name, shown }
}

/** As if it had been suspect for the half hour after which it is called dead. */
const suspectForLong = () =>
  query({ url: server.url }, `update nodes set verdict_since = verdict_since - interval '31 minutes'`)

/** It is called dead within the grace after that moment, on the clock of the plane, and released once that is over. */
async function waitsForGrace({ shown }: Hung, from: number): Promise<void> {
  await until(
    async () => Number.isFinite(toldAt(await shown(), /^ready -> releasing/)),
    90_000,
    () => 'it is never released',
  )
  const node = await shown()
  expect(toldAt(node, /-> dead \(row/) - from).toBeLessThan(graceS * 1_000)
  expect(toldAt(node, /^ready -> releasing/) - from).toBeGreaterThanOrEqual(graceS * 1_000)
}

/** Its machine is there all the while. */
async function staysFor(ms: number, { name }: Hung): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; await pause(looksMs))
    expect((await plane.machines()).has(name)).toBe(true)
}

const held = async () => (await plane.client.status()).guardHolds.map(({ guard }) => guard)

test('a node that counts as dead when the control plane starts is not released before the grace is over, and is after it', async () => {
  const hung = await hungNode()
  await plane.signal('SIGKILL')
  await suspectForLong()
  const startedAt = Date.now()
  await plane.start()
  await waitsForGrace(hung, startedAt)
  expect(await held()).toEqual(['start', 'start'])
}, 240_000)

test('a control plane that stood still for two seconds says so, and releases no node that counts as dead before the grace is over', async () => {
  const hung = await hungNode()
  await plane.signal('SIGSTOP')
  await suspectForLong()
  await staysFor(2_000, hung)
  const wokeAt = Date.now()
  await plane.signal('SIGCONT')
  await until(
    async () => /held up/.test((await plane.client.status()).guard ?? ''),
    30_000,
    () => 'it does not say that it was held up',
  )
  await waitsForGrace(hung, wokeAt)

  const { guardHolds } = await plane.client.status()
  const [last] = guardHolds
  expect(guardHolds.map(({ guard }) => guard)).toEqual(expect.arrayContaining(['start', 'held_up']))
  expect(Date.parse(last?.until ?? '') - Date.parse(last?.since ?? '')).toBeGreaterThan((graceS - 6) * 1_000)
  expect(await plane.client.metrics()).toMatch(/^flightdeck_guard_holds_total\{guard="held_up"\} [1-9]/m)
}, 240_000)

test('a control plane whose database was away says so, and releases no node that counts as dead before the grace is over', async () => {
  const hung = await hungNode()
  await server.stop()
  await staysFor(20_000, hung)
  const backAt = Date.now()
  await server.start()
  await suspectForLong()
  await waitsForGrace(hung, backAt)
  expect(await held()).toEqual(['gap', 'start'])
}, 240_000)

test.each([
  ['ahead', 3_600_000],
  ['back', -3_600_000],
])(
  'a control plane whose clock is set %s by an hour says so, calls nobody dead for it, and releases no node that counts as dead before the grace is over',
  async (_, byMs) => {
    const hung = await hungNode()
    const jumpedAt = Date.now() + byMs
    await clock.jumpTo(plane, byMs, ['health'])
    expect((await hung.shown()).verdict).toBe('suspect')
    await suspectForLong()
    await waitsForGrace(hung, jumpedAt)
    expect(await held()).toEqual(['clock', 'start'])
  },
  240_000,
)

test('the database stopped for 30 s in the middle of a launch: it goes on where it was, also past its limit, and nothing is released', async () => {
  await planeWith({ scripts: { slow: { phasesMs: { weights_load: 12_000 } } } })
  const limitS = 20
  const launch = await plane.launched('slow', { timeLimitS: limitS })
  const state = async () => (await plane.client.showLaunch({ params: { id: launch.id } })).attempts[0]?.nodeState
  await until(
    async () => (await state()) === 'loading' && (await plane.running('scripted-engine')).size === 1,
    limitS * 1_000,
    () => 'the engine is not started within the limit',
  )
  const machines = await plane.machines()

  await server.stop()
  for (const end = Date.now() + 30_000; Date.now() < end; await pause(looksMs))
    expect([...(await plane.machines()).keys()]).toEqual([...machines.keys()])
  await server.start()

  const live = await plane.reaches(launch.id, ['live'], 60_000)
  expect(Date.now()).toBeGreaterThan(Date.parse(live.deadlineAt ?? ''))
  expect(live.attempts).toHaveLength(1)
  expect(await plane.machines()).toEqual(machines)
  const node = await plane.node(live)
  expect(toldAt(node, /-> (draining|releasing)/)).toBeNaN()
  expect(await held()).toContain('gap')
  ledgerIsWhole(node)
}, 180_000)
