import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { at as atTime, json } from '../store/database.ts'
import { coarse, rollSamplesUp, takeSamples } from '../store/samples.ts'
import { startTestApi, type TestApi } from './api-for-tests.ts'

let at: TestApi
// A whole five minutes, so that spans are easy to see.
const base = Math.floor(Date.now() / 300_000) * 300_000 - 3_600_000
let now = base

beforeEach(async () => {
  now = base
  at = await startTestApi({ clock: { now: () => now, monotonicMs: () => performance.now() } })
})
afterEach(() => at?.end())

const gpu = (percent: number | null, usedMib: number | null) => ({
  utilizationPercent: percent,
  memoryUsedMib: usedMib,
})

async function said(nodeId: string, inFlight: number, gpus: unknown[] = [], load: object = {}): Promise<void> {
  const heartbeat = json({ load: { inFlight, ...load }, gpus })
  await at.deps.store.db
    .insertInto('signals')
    .values({ node_id: nodeId, heard_at: atTime(now), heartbeat, in_flight: inFlight })
    .onConflict((oc) => oc.column('node_id').doUpdateSet({ heard_at: atTime(now), heartbeat, in_flight: inFlight }))
    .execute()
}

const take = () => takeSamples(at.deps.store.db, now, now - 30_000)
const samplesOf = async (id: string, span: 'hour' | 'day' = 'hour') =>
  (await at.client.nodeSamples({ params: { id }, query: { span } })).samples

test('a sample has the load of a node, the mean of its GPUs and the sum of their memory; what is not told is null', async () => {
  const { nodeId } = await at.node({ state: 'ready', launchState: 'live' })
  const other = await at.node({ state: 'ready', launchState: 'live' })
  await said(nodeId, 3, [gpu(50, 1_000), gpu(100, 3_000)], { waiting: 2, kvPercent: 12.5 })
  await said(other.nodeId, 1, [gpu(null, null)])
  await take()
  expect(await samplesOf(nodeId)).toEqual([
    { at: new Date(base).toISOString(), inFlight: 3, waiting: 2, kvPercent: 12.5, gpuPercent: 75, gpuUsedMib: 4_000 },
  ])
  expect(await samplesOf(other.nodeId)).toMatchObject([
    { inFlight: 1, waiting: null, gpuPercent: null, gpuUsedMib: null },
  ])
})

test('a node that is silent or gone leaves a gap, and one moment is sampled once', async () => {
  const { nodeId } = await at.node({ state: 'ready', launchState: 'live' })
  await said(nodeId, 1)
  for (const step of [0, 10_000, 19_000, 40_000, 50_000]) {
    now = base + step
    if (step === 50_000) await said(nodeId, 2)
    await take()
  }
  await at.deps.store.db.updateTable('nodes').set({ state: 'gone' }).where('id', '=', nodeId).execute()
  now = base + 60_000
  await take()
  const times = (await samplesOf(nodeId)).map((sample) => [Date.parse(sample.at) - base, sample.inFlight])
  expect(times).toEqual([
    [0, 1],
    [10_000, 1],
    [50_000, 2],
  ])
})

test('a deployment is sampled with what it wants and has, however little it has', async () => {
  await at.node({ state: 'ready', launchState: 'live' })
  const { nodeId } = await at.node({ state: 'ready', launchState: 'live' })
  await said(nodeId, 5)
  const none = await at.client.createDeployment({ body: { name: 'none', model: 'tiny', wanted: 0 } })
  await take()
  const tiny = (await at.client.listDeployments()).items.find(({ name }) => name === 'tiny')
  const shown = await at.client.deploymentSamples({ params: { id: tiny?.id ?? '' } })
  expect(shown.samples).toEqual([
    { at: new Date(base).toISOString(), wanted: tiny?.wanted, ready: 2, inFlight: 5, waiting: null },
  ])
  expect((await at.client.deploymentSamples({ params: { id: none.id } })).samples).toMatchObject([
    { wanted: 0, ready: 0 },
  ])
})

test('fine samples are kept for an hour and coarse ones for a day, also where nobody summed up for a while', async () => {
  const { nodeId } = await at.node({ state: 'ready', launchState: 'live' })
  for (let step = 0; step < 700_000; step += 100_000) {
    now = base + step
    await said(nodeId, step / 100_000)
    await take()
  }
  await rollSamplesUp(at.deps.store.db, now)
  await rollSamplesUp(at.deps.store.db, now)
  const day = await samplesOf(nodeId, 'day')
  // Three of each span of five minutes; the span that is not over is not summed up.
  expect(day.map((sample) => [Date.parse(sample.at) - base, sample.inFlight])).toEqual([
    [0, 1],
    [300_000, 4],
  ])
  now = base + 3_600_000 + 350_000
  await take()
  await rollSamplesUp(at.deps.store.db, now)
  expect((await samplesOf(nodeId)).map((sample) => Date.parse(sample.at) - base)).toEqual([400_000, 500_000, 600_000])
  expect((await samplesOf(nodeId, 'day')).map((sample) => sample.inFlight)).toEqual([1, 4, 6])
  now = base + coarse.keptMs + 3_600_000 + 350_000
  await take()
  await rollSamplesUp(at.deps.store.db, now)
  const { rows } = await sql<{ n: number }>`select count(*) as n from node_samples`.execute(at.deps.store.db)
  expect(rows[0]?.n).toBe(0)
})

test('traffic is what gateways accounted for, by the minute or by five, with means of what took time', async () => {
  const { nodeId } = await at.node({ state: 'ready', launchState: 'live' })
  const minute = (n: number, over: object) => ({
    minute: atTime(base + n * 60_000),
    key_id: 'k',
    node_id: nodeId,
    model: 'tiny',
    requests: 4,
    failed_requests: 1,
    aborted_requests: 0,
    prompt_tokens: 100,
    completion_tokens: 600,
    estimated_tokens: 0,
    duration_ms: 8_000,
    streams: 2,
    first_token_ms: 300,
    ...over,
  })
  await at.deps.store.db
    .insertInto('usage_minutes')
    .values([minute(0, {}), minute(0, { key_id: 'other' }), minute(6, { requests: 1, streams: 0, first_token_ms: 0 })])
    .execute()
  now = base + 600_000
  const { traffic, trafficS } = await at.client.nodeSamples({ params: { id: nodeId } })
  expect([trafficS, traffic]).toEqual([
    60,
    [
      {
        at: new Date(base).toISOString(),
        requests: 8,
        failed: 2,
        aborted: 0,
        promptTokens: 200,
        completionTokens: 1_200,
        completionTokensPerS: 20,
        durationMs: 2_000,
        firstTokenMs: 150,
      },
      expect.objectContaining({ requests: 1, durationMs: 8_000, firstTokenMs: null }),
    ],
  ])
  const [tiny] = (await at.client.listDeployments()).items
  const day = await at.client.deploymentSamples({ params: { id: tiny?.id ?? '' }, query: { span: 'day' } })
  expect(
    day.traffic.map(({ at: from, completionTokensPerS }) => [Date.parse(from) - base, completionTokensPerS]),
  ).toEqual([
    [0, 4],
    [300_000, 2],
  ])
})

test('what is not there has no graph', async () => {
  await expect(at.client.nodeSamples({ params: { id: 'no-such' } })).rejects.toMatchObject({ status: 404 })
  await expect(at.client.deploymentSamples({ params: { id: 'no-such' } })).rejects.toMatchObject({ status: 404 })
})
