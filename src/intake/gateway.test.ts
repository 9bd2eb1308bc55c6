import { afterEach, beforeEach, expect, test } from 'vitest'
import { addNode, type TestWorld, testWorld } from '../store/world-for-tests.ts'
import { type GatewayIntake, makeGatewayIntake } from './gateway.ts'
import { gatewayReport } from './messages-for-tests.ts'

let world: TestWorld
let intake: GatewayIntake
beforeEach(async () => {
  world = await testWorld()
  intake = makeGatewayIntake(world.deps)
})
afterEach(() => world.drop())

const db = () => world.deps.store.db
const usage = (over = {}) => ({
  minute: '2026-03-01T11:59:00.000Z',
  keyId: 'ke-1',
  nodeId: 'no-1',
  model: 'sim-small',
  requests: 2,
  failedRequests: 1,
  abortedRequests: 0,
  promptTokens: 10,
  completionTokens: 20,
  estimatedTokens: 3,
  durationMs: 40,
  streams: 1,
  firstTokenMs: 12,
  ...over,
})
const counted = () =>
  db()
    .selectFrom('usage_minutes')
    .select(['key_id', 'requests', 'prompt_tokens', 'duration_ms'])
    .orderBy('key_id')
    .execute()

test('a batch counts once, however often and however concurrently it is sent', async () => {
  const report = gatewayReport({ batch: 7, usage: [usage(), usage(), usage({ keyId: 'ke-2' })] })
  const replies = await Promise.all(Array.from({ length: 5 }, () => intake.take(report)))
  expect(replies).toEqual(Array.from({ length: 5 }, () => ({ acceptedBatch: 7 })))
  expect(await counted()).toEqual([
    { key_id: 'ke-1', requests: 4, prompt_tokens: 20, duration_ms: 80 },
    { key_id: 'ke-2', requests: 2, prompt_tokens: 10, duration_ms: 40 },
  ])
})

test('other batches and other gateways add to the same minute, also when they come at once', async () => {
  const rows = [usage(), usage({ keyId: 'ke-2' })]
  await Promise.all(
    ['gw-1', 'gw-2'].flatMap((gatewayId) =>
      [1, 2, 3].map((batch) =>
        intake.take(gatewayReport({ gatewayId, batch, usage: batch % 2 ? rows : [...rows].reverse() })),
      ),
    ),
  )
  expect((await counted()).map(({ requests }) => requests)).toEqual([12, 12])
})

test('a gateway is known by its last report', async () => {
  await intake.take(gatewayReport({ tableVersion: 'v1' }))
  world.deps.clock.pass(5_000)
  const nodes = [2, 0].map((inFlight, i) => ({ id: `no-${i}`, inFlight, spareSockets: 1 }))
  const report = gatewayReport({ url: 'http://other', tableVersion: 'v2', nodes })
  expect(await intake.take(report)).toEqual({ acceptedBatch: null })
  const rows = await db().selectFrom('gateways').selectAll().execute()
  expect(rows).toEqual([
    {
      id: 'gw-1',
      url: 'http://other',
      fingerprint: null,
      started_at: Date.parse('2026-03-01T11:00:00Z'),
      seen_at: world.deps.clock.now(),
      table_version: 'v2',
      open_requests: { 'no-0': 2 },
    },
  ])
})

test('the newest probe of a node is kept, and the health loop is woken when it says something else', async () => {
  const { nodeId } = await addNode(world, { state: 'ready' })
  const far = new Date('2100-01-01')
  await db().insertInto('claims').values({ loop: 'health', row_id: 'health', due_at: far }).execute()
  const woken = async () => {
    const row = await db().selectFrom('claims').select('due_at').where('loop', '=', 'health').executeTakeFirstOrThrow()
    await db().updateTable('claims').set({ due_at: far }).where('loop', '=', 'health').execute()
    return row.due_at !== far.getTime()
  }
  const probe = async (good: boolean, agoMs: number) => {
    const one = { nodeId, good, reached: true, detail: good ? 'answered' : 'refused', tookMs: 3, agoMs }
    await intake.take(gatewayReport({ probes: [{ ...one, agoMs: agoMs + 9_000, good: !good }, one] }))
    return woken()
  }
  const kept = () => db().selectFrom('signals').select(['probe_at', 'probe_good', 'probe_detail']).executeTakeFirst()
  expect(await probe(true, 100)).toBe(true)
  expect(await kept()).toEqual({ probe_at: world.deps.clock.now() - 100, probe_good: true, probe_detail: 'answered' })
  expect(await probe(true, 50)).toBe(false)
  expect(await probe(false, 0)).toBe(true)
  expect(await probe(true, 5_000)).toBe(false)
  expect(await kept()).toMatchObject({ probe_good: false, probe_detail: 'refused' })
})

test('a gateway without a connection of a node says nothing while another one reaches it', async () => {
  const { nodeId } = await addNode(world, { state: 'ready' })
  const told = (gatewayId: string, reached: boolean) => {
    const probe = {
      nodeId,
      good: reached,
      reached,
      detail: reached ? 'answered' : 'no connection',
      tookMs: 0,
      agoMs: 0,
    }
    return intake.take(gatewayReport({ gatewayId, probes: [probe] }))
  }
  const kept = async () => (await db().selectFrom('signals').select('probe_good').executeTakeFirst())?.probe_good
  await told('gw-1', true)
  await told('gw-2', false)
  expect(await kept()).toBe(true)
  world.deps.clock.pass(44_000)
  await told('gw-2', false)
  expect(await kept()).toBe(true)
  world.deps.clock.pass(2_000)
  await told('gw-2', false)
  expect(await kept(), 'nobody has reached it for a probe and a half').toBe(false)
  await told('gw-1', true)
  await told('gw-1', false)
  expect(await kept(), 'the one that reached it lost it').toBe(false)
})

test('probes and second holders of nodes that are not known are passed over', async () => {
  const { nodeId } = await addNode(world, { state: 'ready' })
  const probes = [{ nodeId: 'no-nope', good: true, reached: true, detail: '', tookMs: 1, agoMs: 0 }]
  const secondHolders = ['no-nope', nodeId, nodeId].map((id) => ({ nodeId: id, incarnation: 'incarnation-x' }))
  await intake.take(gatewayReport({ probes, secondHolders }))
  const told = await db()
    .selectFrom('events')
    .select(['node_id', 'text'])
    .where('kind', '=', 'node.second_holder')
    .execute()
  expect(told).toEqual([{ node_id: nodeId, text: expect.stringContaining('the gateway gw-1') }])
})
