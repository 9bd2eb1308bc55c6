import { afterEach, beforeEach, expect, test } from 'vitest'
import { failureRecord } from '../core/failure.ts'
import { leaseMsOf } from '../core/pace.ts'
import { sha256 } from '../lib/chance.ts'
import { loadRoutes } from '../store/routing.ts'
import { addNode, dueAt, forgetNudges, setNodeState, type TestWorld, testWorld } from '../store/world-for-tests.ts'
import type { Heartbeat } from '../wire/agent.ts'
import { type Heartbeats, makeHeartbeats } from './heartbeat.ts'
import { gpu, heartbeat, load } from './messages-for-tests.ts'
import { tableOf } from './routes.ts'

let world: TestWorld
let heartbeats: Heartbeats
beforeEach(async () => {
  world = await testWorld()
  heartbeats = makeHeartbeats(world.deps)
})
afterEach(() => world.drop())

const db = () => world.deps.store.db
const far = new Date('2100-01-01')

/** A node whose agent has joined. */
async function joined(wish: Parameters<typeof addNode>[1] = { state: 'ready' }) {
  const made = await addNode(world, wish)
  const credential = `fd_node_${made.nodeId}.secret-of-it`
  await db()
    .updateTable('nodes')
    .set({ credential_hash: sha256(credential), incarnation: 'incarnation-1', joined_at: new Date(0) })
    .where('id', '=', made.nodeId)
    .execute()
  return { ...made, credential }
}
const beat = (credential: string, over: Partial<Heartbeat> = {}) =>
  heartbeats.take(credential, heartbeat(over), '10.9.9.9')
const signals = (id: string) =>
  db().selectFrom('signals').selectAll().where('node_id', '=', id).executeTakeFirstOrThrow()
const node = (id: string) => db().selectFrom('nodes').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const count = async (kind: string) =>
  (await db().selectFrom('events').select('id').where('kind', '=', kind).execute()).length

async function topics(during: () => Promise<unknown>): Promise<string[]> {
  const heard: string[] = []
  const done = Promise.withResolvers<void>()
  const unlisten = await world.deps.store.listen((topic) => {
    if (topic === 'the-end') done.resolve()
    else heard.push(topic)
  })
  await during()
  await db()
    .selectNoFrom((eb) => eb.fn('pg_notify', [eb.val('flightdeck'), eb.val('the-end')]).as('x'))
    .execute()
  await done.promise
  await unlisten()
  return heard
}

test('heartbeats that come together are written together, and each is answered', async () => {
  const nodes = await Promise.all(['a', 'b', 'c'].map((deployment) => joined({ state: 'ready', deployment })))
  const busy = load({ inFlight: 2, busyMs: 70, requests: 9 })
  const replies = await Promise.all(nodes.map(({ credential }) => beat(credential, { load: busy })))
  expect(replies).toEqual(
    nodes.map(({ nodeId }) => {
      const leaseMs = leaseMsOf(14_400_000, nodeId)
      return { order: 'run', drainDeadlineMs: null, gateways: [], heartbeatMs: 10_000, leaseMs }
    }),
  )
  for (const { nodeId } of nodes)
    expect(await signals(nodeId)).toMatchObject({
      heard_at: world.deps.clock.now(),
      in_flight: 2,
      busy_ms: 70,
      requests: 9,
    })
})

test('busy time never goes back, and a count of nonsense spoils nothing for others', async () => {
  const [one, other] = [
    await joined({ state: 'ready', deployment: 'a' }),
    await joined({ state: 'ready', deployment: 'b' }),
  ]
  await beat(one.credential, { load: load({ busyMs: 500, requests: 5 }) })
  await Promise.all([
    beat(one.credential, { load: load({ busyMs: 10, requests: 1 }) }),
    beat(other.credential, {
      load: load({ inFlight: 9e15, busyMs: 9e15, requests: 9e15, spareSockets: 9e15 }),
      agentVersion: 'a\0b',
    }),
  ])
  expect(await signals(one.nodeId)).toMatchObject({ busy_ms: 500, requests: 5 })
  expect(await node(other.nodeId)).toMatchObject({ agent_version: 'ab' })
})

test('a wrong credential, another kind of token and an unknown node are refused', async () => {
  const { credential, joinToken } = await joined()
  for (const wrong of [`${credential}x`, joinToken, 'fd_node_no-nope.secret', 'x'])
    await expect(beat(wrong)).rejects.toMatchObject({ code: 'credential_refused', status: 401 })
})

test('a restarted agent takes over; a second one is refused and told of once a minute', async () => {
  const { credential, nodeId } = await joined()
  await beat(credential, { incarnation: 'incarnation-2', previous: 'incarnation-1' })
  expect((await node(nodeId)).incarnation).toBe('incarnation-2')
  for (const incarnation of ['incarnation-1', 'incarnation-3'])
    await expect(beat(credential, { incarnation })).rejects.toMatchObject({ code: 'second_holder', status: 409 })
  expect(await count('node.second_holder')).toBe(1)
  expect(await db().selectFrom('audit').select('who').execute()).toEqual([{ who: `node:${nodeId}` }])
  world.deps.clock.pass(60_000)
  await expect(beat(credential)).rejects.toMatchObject({ code: 'second_holder' })
  expect(await count('node.second_holder')).toBe(2)
  expect((await beat(credential, { incarnation: 'incarnation-2' })).order).toBe('run')
})

test('two copies of one disk that restart at once: one takes over, the other is refused', async () => {
  const { credential } = await joined()
  const both = await Promise.allSettled(
    ['incarnation-x', 'incarnation-y'].map((incarnation) =>
      beat(credential, { incarnation, previous: 'incarnation-1' }),
    ),
  )
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
})

test('the order follows the state: drain with the time that is left, end, and gone at once', async () => {
  const { credential, nodeId } = await joined({ state: 'draining' })
  const set = (values: object) => db().updateTable('nodes').set(values).where('id', '=', nodeId).execute()
  await set({ drain_asked_at: new Date() })
  expect(await beat(credential)).toMatchObject({ order: 'drain', drainDeadlineMs: null })
  await set({ drain_deadline_at: new Date(world.deps.clock.now() + 5_000) })
  expect(await beat(credential)).toMatchObject({ order: 'drain', drainDeadlineMs: 5_000 })
  await set({ state: 'ready', drain_deadline_at: null, unwanted_at: new Date() })
  expect(await beat(credential)).toMatchObject({ order: 'drain' })
  await set({ state: 'loading' })
  expect(await beat(credential)).toMatchObject({ order: 'end' })
  await set({ state: 'releasing' })
  expect(await beat(credential)).toMatchObject({ order: 'end' })
  await setNodeState(world.deps.store, nodeId, 'gone')
  await expect(beat(credential)).rejects.toMatchObject({ code: 'node_released', status: 410 })
})

test('a drain that is done wakes the node loop, once, and only while it drains', async () => {
  const { credential, nodeId } = await joined()
  await beat(credential, { drained: true })
  expect((await node(nodeId)).drained_at).toBeNull()
  await setNodeState(world.deps.store, nodeId, 'draining')
  await forgetNudges(world.deps.store)
  await beat(credential, { drained: true })
  await beat(credential, { drained: true })
  expect((await node(nodeId)).drained_at).toBe(world.deps.clock.now())
  expect(await dueAt(world.deps.store, nodeId)).toBe(world.deps.clock.now())
  expect(await count('node.drained')).toBe(1)
})

test('an engine that fails or comes back wakes the health loop', async () => {
  const { credential, nodeId } = await joined()
  await db().insertInto('claims').values({ loop: 'health', row_id: 'health', due_at: far }).execute()
  await beat(credential)
  expect(await dueAt(world.deps.store, 'health')).toBe(far.getTime())
  const failure = failureRecord('engine_exited', 'It ended with code 1.')
  for (const engine of [heartbeat().engine, { ...heartbeat().engine, state: 'failed' as const, failure }].reverse()) {
    await forgetNudges(world.deps.store)
    await beat(credential, { engine })
    expect(await dueAt(world.deps.store, 'health')).toBe(world.deps.clock.now())
  }
  expect((await signals(nodeId)).heartbeat).toMatchObject({ engine: { state: 'serving' } })
})

test('readers are told only of what they can see: load and engine, not every beat', async () => {
  const { credential, nodeId } = await joined()
  await beat(credential)
  const busy = load({ inFlight: 1 })
  expect(await topics(() => beat(credential))).toEqual([])
  expect(await topics(() => beat(credential, { load: busy }))).toEqual([`node:${nodeId}`])
})

test('hardware and versions are written to the node only when they change', async () => {
  const { credential, nodeId } = await joined()
  const gpus = [gpu('L4', 23_034)]
  await beat(credential, { gpus })
  expect((await node(nodeId)).gpus).toEqual(gpus)
  const warmer = [{ ...gpu('L4', 23_034), utilizationPercent: 97 }]
  expect(await topics(() => beat(credential, { gpus: warmer }))).toEqual([])
  expect((await node(nodeId)).engine_version).toBe('1.0')
})

test('one beat a node in a thousand costs two statements, not two thousand', async () => {
  const { credential, nodeId } = await joined()
  await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => beat(credential, { load: { ...heartbeat().load, requests: i } })),
  )
  expect(await signals(nodeId)).toMatchObject({ requests: 999 })
  expect(world.deps.store.pool.waits().count).toBeLessThan(30)
})

test('a fault of a GPU is kept with its line, told once, and drains the node in the same answer', async () => {
  const { credential, nodeId } = await joined()
  const fault = { source: 'xid', xid: 79, gpu: 'GPU-0', evidence: 'NVRM: Xid (PCI:0000:3b:00): 79, fallen' }
  const app = { ...fault, xid: 13, evidence: 'NVRM: Xid (PCI:0000:3b:00): 13, exception' }
  expect(await beat(credential, { gpuFaults: [app] })).toMatchObject({ order: 'run' })
  const routed = async () => tableOf(await loadRoutes(db()), world.deps).nodes[0]?.routable
  expect([await routed(), await count('node.gpu_fault')]).toEqual([true, 1])
  await db().updateTable('claims').set({ due_at: far }).where('row_id', '=', nodeId).execute()
  expect(await beat(credential, { gpuFaults: [app, fault] })).toMatchObject({ order: 'drain', drainDeadlineMs: null })
  const toldAt = world.deps.clock.now()
  expect((await node(nodeId)).gpu_faults).toEqual([
    { ...app, toldAt },
    { ...fault, toldAt },
  ])
  expect([await routed(), await dueAt(world.deps.store, nodeId)]).toEqual([false, toldAt])
  world.deps.clock.pass(60_000)
  await beat(credential, { gpuFaults: [{ ...fault, evidence: 'again' }] })
  // An agent that has forgotten it, or one of another version that says nothing of GPUs, takes nothing back.
  expect(await beat(credential)).toMatchObject({ order: 'drain' })
  expect((await node(nodeId)).gpu_faults).toHaveLength(2)
  expect(await count('node.gpu_fault')).toBe(2)
})

test('when many machines tell of faulty GPUs at once, three or a fifth of them leave, and the others serve on and say so', async () => {
  const fleet = await Promise.all(Array.from({ length: 10 }, () => joined()))
  const fault = { source: 'xid', xid: 79, gpu: null, evidence: 'NVRM: Xid (PCI:0000:3b:00): 79, fallen' }
  const rest = fleet.splice(2)
  for (const { credential, nodeId } of fleet) {
    await beat(credential, { gpuFaults: [fault] })
    // Idle, it is released before the next agent has looked.
    await setNodeState(world.deps.store, nodeId, 'releasing')
  }
  const replies = await Promise.all(rest.map(({ credential }) => beat(credential, { gpuFaults: [fault] })))
  const orders = replies.map(({ order }) => order).sort()
  expect(orders).toEqual(['drain', ...Array(7).fill('run')])
  expect(tableOf(await loadRoutes(db()), world.deps).nodes.filter(({ routable }) => routable)).toHaveLength(7)
  const events = await db().selectFrom('events').select('text').where('kind', '=', 'node.gpu_fault').execute()
  expect(events.filter(({ text }) => /when its turn comes/.test(text))).toHaveLength(7)
  // Told again it is the same fault, and nobody's turn comes by that.
  const again = await Promise.all(rest.map(({ credential }) => beat(credential, { gpuFaults: [fault] })))
  expect(again.map(({ order }) => order).sort()).toEqual(orders)
})

test('a machine that tells of ever new faults fills no row with them', async () => {
  const { credential, nodeId } = await joined()
  const fault = (xid: number) => ({ source: 'xid', xid, gpu: null, evidence: 'x' })
  for (const from of [0, 10, 20])
    await beat(credential, { gpuFaults: Array.from({ length: 10 }, (_, i) => fault(from + i)) })
  expect((await node(nodeId)).gpu_faults).toHaveLength(16)
})

test('a fleet that is too big to speak each ten seconds is told to speak less often', async () => {
  const { credential } = await joined()
  const { store } = world.deps
  const crowded = makeHeartbeats({ ...world.deps, store: { ...store, fleetSize: async () => 25_000 } })
  expect((await crowded.take(credential, heartbeat({}), '10.9.9.9')).heartbeatMs).toBe(25_000)
  expect((await beat(credential)).heartbeatMs).toBe(10_000)
})
