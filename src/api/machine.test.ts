import { afterAll, beforeAll, expect, test } from 'vitest'
import { sha256 } from '../lib/chance.ts'
import { joinTokenFor } from '../store/join-token.ts'
import type { RoutingTable } from '../wire/gateway.ts'
import { startTestApi, type TestApi } from './api-for-tests.ts'

let at: TestApi

beforeAll(async () => {
  at = await startTestApi()
})
afterAll(() => at?.end())

const ask = (path: string, token: string, body?: unknown) =>
  fetch(at.api.url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })

const joinBody = {
  instance: 'instance-1',
  incarnation: 'incarnation-1',
  agentVersion: '0.1.0',
  hardware: { hostname: 'h', cpus: 1, memoryMib: 1, gpus: [], instanceType: null },
}

const heartbeatBody = {
  incarnation: 'incarnation-1',
  previous: null,
  agentVersion: '0.1.0',
  engine: { state: 'serving', version: '0.32', restarts: 0, failure: null },
  load: { inFlight: 3, busyMs: 10, requests: 1, spareSockets: 1 },
  gpus: [],
  draining: false,
  drained: false,
}

test('a line of a megabyte is refused, and nothing of it is kept', async () => {
  const { nodeId, credential } = await at.node({ state: 'loading' })
  const report = { incarnation: 'incarnation-1', previous: null, phases: [], answeredAgoMs: null, failure: null }
  const lines = [{ n: 0, source: 'engine', text: `\u001b[31m<script>${'x'.repeat(1_000_000)}` }]
  const reply = await ask('/agent/progress', credential, { ...report, lines })
  expect(reply.status).toBe(400)
  expect((await at.client.nodeLogs({ params: { id: nodeId } })).items).toEqual([])
})

test('a gateway that holds the newest table is answered as soon as a key is made, and 204 when nothing changes', async () => {
  const table = (await (await ask('/gateway/table', at.tokens.gateway)).json()) as RoutingTable
  const quiet = await ask(`/gateway/table?after=${table.version}&waitMs=50`, at.tokens.gateway)
  expect(quiet.status).toBe(204)
  const held = ask(`/gateway/table?after=${table.version}&waitMs=10000`, at.tokens.gateway)
  const begun = performance.now()
  const { key } = await at.client.createKey({ body: { name: 'app' } })
  const next = (await (await held).json()) as RoutingTable
  expect(next.keys.map(({ hash }) => hash)).toContain(sha256(key))
  expect(performance.now() - begun).toBeLessThan(1_000)
})

test('an agent joins with its token and speaks with its credential; people see what it says', async () => {
  const { nodeId, launchId } = await at.node({ state: 'booting' })
  await at.deps.store.db.updateTable('nodes').set({ credential_hash: null }).where('id', '=', nodeId).execute()
  const joined = await ask('/agent/join', joinTokenFor(at.deps.vault, nodeId), joinBody)
  expect(joined.status).toBe(200)
  const { credential } = (await joined.json()) as { credential: string }
  const beat = await ask('/agent/heartbeat', credential, heartbeatBody)
  expect(await beat.json()).toMatchObject({ order: 'run' })
  const progress = {
    incarnation: 'incarnation-1',
    previous: null,
    phases: [{ phase: 'weights_load', percent: 40, agoMs: 0 }],
    lines: [{ n: 0, source: 'engine', text: 'Loading <b>weights</b>\u001b[31m' }],
    answeredAgoMs: null,
    failure: null,
  }
  expect((await ask('/agent/progress', credential, progress)).status).toBe(200)
  const node = await at.client.showNode({ params: { id: nodeId } })
  expect(node).toMatchObject({ inFlight: 3, signals: { heartbeat: { value: 'good', detail: 'engine: serving' } } })
  const launch = await at.client.showLaunch({ params: { id: launchId } })
  expect(launch).toMatchObject({ phase: 'weights_load' })
  expect((await at.client.nodeLogs({ params: { id: nodeId } })).items).toMatchObject([
    { n: 0, text: 'Loading <b>weights</b>\u001b[31m' },
  ])
})

test('once a key is shown, or revoked, the table that gateways are given says so', async () => {
  const listed = async () => ((await (await ask('/gateway/table', at.tokens.gateway)).json()) as RoutingTable).keys
  const { id } = await at.client.createKey({ body: { name: 'soon' } })
  expect((await listed()).map((key) => key.id)).toContain(id)
  await at.client.revokeKey({ params: { id } })
  expect((await listed()).map((key) => key.id)).not.toContain(id)
})

test('an agent that was cut off may tell 500 long lines at once', async () => {
  const { nodeId, credential } = await at.node({ state: 'loading' })
  const lines = Array.from({ length: 500 }, (_, n) => ({ n, source: 'engine', text: 'x'.repeat(4_096) }))
  const report = { incarnation: 'incarnation-1', previous: null, phases: [], lines, answeredAgoMs: null, failure: null }
  expect((await ask('/agent/progress', credential, report)).status).toBe(200)
  const told = await at.client.nodeLogs({ params: { id: nodeId }, query: { tail: 5_000 } })
  expect(told.items).toHaveLength(500)
})

test('a foreign credential, a used join token and an unknown field of a machine are refused', async () => {
  const { nodeId } = await at.node({ state: 'ready' })
  const foreign = await ask('/agent/heartbeat', `fd_node_${nodeId}.wrong-wrong-wrong`, heartbeatBody)
  expect(foreign.status).toBe(401)
  const odd = await ask('/agent/join', 'fd_join_no-0000000000.wrong-wrong', { ...joinBody, hardware: {} })
  expect(odd.status).toBe(400)
  const unknown = await ask('/agent/join', 'fd_join_no-0000000000.wrong-wrong', joinBody)
  expect(unknown.status).toBe(401)
})

test('a node that was released gets 410 and so the order to end itself', async () => {
  const { credential } = await at.node({ state: 'gone', launchState: 'ending' })
  const reply = await ask('/agent/heartbeat', credential, heartbeatBody)
  expect([reply.status, await reply.json()]).toMatchObject([410, { error: { code: 'node_released' } }])
})

test('a gateway reports, is shown, and its batch is accepted', async () => {
  const report = {
    gatewayId: 'gw-1',
    url: 'http://127.0.0.1:9',
    startedAt: new Date().toISOString(),
    tableVersion: null,
    batch: 1,
    usage: [],
    probes: [],
    nodes: [],
    secondHolders: [],
  }
  const reply = await ask('/gateway/report', at.tokens.gateway, report)
  expect(await reply.json()).toEqual({ acceptedBatch: 1 })
  expect((await at.client.status()).gateways).toMatchObject([{ id: 'gw-1', tableCurrent: false }])
})
