import { afterEach, expect, test } from 'vitest'
import { signalProcess } from '../../src/clouds/local/processes.ts'
import { pause } from '../../src/lib/clock.ts'
import { query } from '../../src/store/test-database.ts'
import type { NodeDetail } from '../../src/wire/views.ts'
import { ledgerIsWhole, type Plane, type PlaneOptions, startPlane, until } from './plane.ts'
import { startServer, type TestServer } from './server.ts'

let plane: Plane
let server: TestServer
afterEach(async () => {
  await plane?.end()
  await server?.end()
})

const graceS = 12
const looksMs = 50

async function planeWith(options: PlaneOptions): Promise<void> {
  server = await startServer()
  plane = await startPlane({ ...options, databaseUrl: server.url, config: { graceS } })
}

/** When the timeline tells of it first; NaN while it does not. */
const toldAt = ({ timeline }: NodeDetail, text: RegExp): number =>
  Date.parse(timeline.find((event) => text.test(event.text))?.at ?? '')

/** The one node of a control plane with room for one machine: nothing can take its place, so it is its death that ends it. */
async function hungNode(): Promise<{ name: string; shown: () => Promise<NodeDetail> }> {
  await planeWith({ scripts: { quick: {} }, local: { maxMachines: 1 } })
  const launch = await plane.launched('quick')
  const { id, name } = await plane.node(await plane.reaches(launch.id, ['live'], 60_000))
  for (const pid of (await plane.running('scripted-engine')).get(name) ?? []) signalProcess(pid, 'SIGSTOP')
  return { name, shown: () => plane.client.showNode({ params: { id } }) }
}

const dies = /-> dead \(row/
const isReleased = /^ready -> releasing/

test('a node that counts as dead when the control plane starts is not released before the grace is over, and is after it', async () => {
  const { shown } = await hungNode()
  await until(
    async () => (await shown()).verdict === 'suspect',
    90_000,
    () => 'nobody notices that the engine hangs',
  )
  await plane.signal('SIGKILL')
  // As if it had been suspect for the half hour after which it is called dead.
  await query({ url: server.url }, `update nodes set verdict_since = verdict_since - interval '31 minutes'`)
  const startedAt = Date.now()
  await plane.start()

  await until(
    async () => Number.isFinite(toldAt(await shown(), isReleased)),
    90_000,
    () => 'it is never released',
  )
  const node = await shown()
  expect(toldAt(node, dies) - startedAt).toBeLessThan(graceS * 1_000)
  expect(toldAt(node, isReleased) - startedAt).toBeGreaterThanOrEqual(graceS * 1_000)
}, 240_000)

test('a control plane that stood still for two seconds says so, and releases no node that counts as dead before the grace is over', async () => {
  const { name, shown } = await hungNode()
  await until(
    async () => (await shown()).verdict === 'suspect' && (await plane.client.status()).guard === null,
    90_000,
    () => 'nobody notices that the engine hangs, or the grace of the start does not end',
  )
  await plane.signal('SIGSTOP')
  await query({ url: server.url }, `update nodes set verdict_since = verdict_since - interval '31 minutes'`)
  for (const end = Date.now() + 2_000; Date.now() < end; await pause(looksMs))
    expect((await plane.machines()).has(name)).toBe(true)
  const wokeAt = Date.now()
  await plane.signal('SIGCONT')
  await until(
    async () => /held up/.test((await plane.client.status()).guard ?? ''),
    30_000,
    () => 'it does not say that it was held up',
  )
  await until(
    async () => Number.isFinite(toldAt(await shown(), isReleased)),
    90_000,
    () => 'it is never released',
  )
  expect(toldAt(await shown(), dies) - wokeAt).toBeLessThan(graceS * 1_000)
  expect(toldAt(await shown(), isReleased) - wokeAt).toBeGreaterThanOrEqual(graceS * 1_000)

  const { guardHolds } = await plane.client.status()
  const [last] = guardHolds
  expect(guardHolds.map(({ guard }) => guard)).toEqual(expect.arrayContaining(['start', 'held_up']))
  expect(Date.parse(last?.until ?? '') - Date.parse(last?.since ?? '')).toBeGreaterThan((graceS - 6) * 1_000)
  expect(await plane.client.metrics()).toMatch(/^flightdeck_guard_holds_total\{guard="held_up"\} [1-9]/m)
}, 240_000)

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
  ledgerIsWhole(node)
}, 180_000)
