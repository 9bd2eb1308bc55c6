import { request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { sha256 } from '../lib/chance.ts'
import { makeLog } from '../lib/log.ts'
import { livePath } from '../wire/live.ts'
import { agentIndex, agentText, startTestApi, type TestApi } from './api-for-tests.ts'
import { startApi } from './server.ts'

let at: TestApi

beforeAll(async () => {
  at = await startTestApi()
})
afterAll(() => at?.end())

const call = (path: string, init: RequestInit = {}, token: string | null = at.tokens.admin) =>
  fetch(at.api.url + path, {
    ...init,
    headers: {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(init.body ? { 'content-type': 'application/json' } : {}),
      ...init.headers,
    },
  })

const problemOf = async (response: Response) => ((await response.json()) as { error: Record<string, unknown> }).error

test('a launch is queued with 202, shown at once, and cancelled', async () => {
  const made = await call('/api/launches', { method: 'POST', body: '{"model":"tiny"}' })
  expect(made.status).toBe(202)
  const launch = (await made.json()) as { id: string }
  expect(launch).toMatchObject({ state: 'queued', phase: 'queued', queuePlace: 1, actions: ['cancel'] })
  const shown = await at.client.showLaunch({ params: { id: launch.id } })
  expect(shown.phases).toMatchObject([{ phase: 'queued', attemptId: null, endedAt: null }])
  expect(await at.client.cancelLaunch({ params: { id: launch.id } })).toMatchObject({ id: launch.id, actions: [] })
})

test('a dry run answers 200 with a plan and changes nothing', async () => {
  const before = await at.client.listLaunches()
  const reply = await call('/api/launches', { method: 'POST', body: '{"model":"tiny","dryRun":true}' })
  expect(reply.status).toBe(200)
  expect(await reply.json()).toMatchObject({ dryRun: true, plan: { model: 'tiny', pricePerHourMicroUsd: 3_600_000 } })
  expect(await at.client.listLaunches()).toEqual(before)
})

test('one idempotency key gives one launch; with another body it is refused', async () => {
  const once = await at.client.createLaunch({ body: { model: 'tiny' }, idempotencyKey: 'k-1' })
  const twice = await at.client.createLaunch({ body: { model: 'tiny' }, idempotencyKey: 'k-1' })
  expect('id' in once && 'id' in twice && once.id === twice.id).toBe(true)
  const other = at.client.createLaunch({ body: { model: 'tiny', timeLimitS: 60 }, idempotencyKey: 'k-1' })
  await expect(other).rejects.toMatchObject({ status: 409, error: { code: 'idempotency_mismatch' } })
  const odd = await call('/api/launches', {
    method: 'POST',
    body: '{"model":"tiny"}',
    headers: { 'idempotency-key': 'k'.repeat(129) },
  })
  expect(odd.status).toBe(400)
})

test('every field that is wrong or unknown is named with what it must be', async () => {
  const body = JSON.stringify({ model: 7, modle: 'x', wish: { gpu: 'H100' }, timeLimitS: 1 })
  const reply = await call('/api/launches', { method: 'POST', body })
  expect(reply.status).toBe(400)
  const { code, details } = await problemOf(reply)
  expect(code).toBe('bad_request')
  const fields = (details as { fields: { field: string }[] }).fields.map(({ field }) => field)
  expect(fields.sort()).toEqual(['body.model', 'body.modle', 'body.timeLimitS', 'body.wish.gpu'])
})

test.each([
  ['/api/nodes?stat=ready', 'query.stat'],
  ['/api/nodes?limit=0', 'query.limit'],
  ['/api/nodes?state=reddy', 'query.state'],
  ['/api/launches?cursor=xx', 'query.cursor'],
  ['/api/spend?from=yesterday', 'query.from'],
  ['/api/launches/a%2F..%2Fb', 'path.id'],
  ['/api/nodes/%00', 'path.id'],
  [`/api/nodes/${'x'.repeat(65)}`, 'path.id'],
])('%s is refused, and the answer names %s', async (path, field) => {
  const reply = await call(path)
  expect(reply.status).toBe(400)
  expect((await problemOf(reply)).cause).toContain(field)
})

test.each([
  ['{"model":', 'no JSON'],
  ['{"__proto__":{"x":1},"model":"tiny"}', 'a prototype'],
  ['[]', 'a list'],
])('a body %s (%s) is refused as a bad request', async (body) => {
  const reply = await call('/api/launches', { method: 'POST', body })
  expect([reply.status, (await problemOf(reply)).code]).toEqual([400, 'bad_request'])
})

test('a body over the limit, and one of another type, are refused', async () => {
  const large = await call('/api/launches', { method: 'POST', body: JSON.stringify({ model: 'x'.repeat(1_100_000) }) })
  expect([large.status, (await problemOf(large)).code]).toEqual([413, 'too_large'])
  const form = await call('/api/launches', {
    method: 'POST',
    body: 'model=tiny',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  expect((await problemOf(form)).code).toBe('bad_request')
})

test('a path that is not there, and an id that is not there, are 404 in the same shape, with the request id', async () => {
  for (const path of [
    '/api/nothing',
    '/api/nodes/no-0000000000',
    '/api/launches/la-0000000000',
    '/api/deployments/x',
  ]) {
    const reply = await call(path)
    const error = await problemOf(reply)
    expect([path, reply.status, error.code]).toEqual([path, 404, 'not_found'])
    expect(error.requestId).toBe(reply.headers.get('x-request-id'))
    expect(error.remedy).toBeTruthy()
  }
})

test('answers forbid framing, sniffing, caching and foreign scripts', async () => {
  const { headers } = await call('/api/health', {}, null)
  expect(headers.get('content-security-policy')).toContain("default-src 'self'")
  expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('access-control-allow-origin')).toBeNull()
})

test('the agent is downloaded by its index, with its hash; nothing else of the folder is', async () => {
  const index = (await call('/downloads/agent/index.json', {}, null)).json()
  expect(await index).toEqual({ ...agentIndex('0.1.0'), others: ['0.0.9'] })
  const file = await call('/downloads/agent/0.1.0/agent.cjs', {}, null)
  expect(await file.text()).toBe(agentText)
  const etag = file.headers.get('etag') ?? ''
  expect(etag).toBe(`"${sha256(agentText)}"`)
  const again = await call('/downloads/agent/0.1.0/agent.cjs', { headers: { 'if-none-match': etag } }, null)
  expect(again.status).toBe(304)
  for (const path of ['0.1.0/unlisted.txt', '0.1.0/..%2Findex.json', '..%2F..%2Fetc/passwd', '0.2.0/agent.cjs']) {
    expect([path, (await call(`/downloads/agent/${path}`, {}, null)).status]).toEqual([path, 404])
  }
})

test('the agent of the version before is served as long as it lies there, for machines whose task names it', async () => {
  expect(await (await call('/downloads/agent/0.0.9/index.json', {}, null)).json()).toEqual(agentIndex('0.0.9'))
  expect(await (await call('/downloads/agent/0.0.9/agent.cjs', {}, null)).text()).toBe(agentText)
})

test('a long list comes in pages that miss nothing and repeat nothing', async () => {
  for (let i = 0; i < 5; i++) await at.launch()
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const page = await at.client.listLaunches({ query: { limit: 2, cursor } })
    seen.push(...page.items.map(({ id }) => id))
    cursor = page.nextCursor ?? undefined
  } while (cursor)
  const whole = await at.client.listLaunches({ query: { limit: 500 } })
  expect(seen).toEqual(whole.items.map(({ id }) => id))
})

test('lists are narrowed by state, model and deployment', async () => {
  const { nodeId, launchId } = await at.node({ state: 'ready', launchState: 'live' })
  const ready = await at.client.listNodes({ query: { state: 'ready,draining', model: 'tiny', deployment: 'tiny' } })
  expect(ready.items.map(({ id }) => id)).toEqual([nodeId])
  const live = await at.client.listLaunches({ query: { state: 'live' } })
  expect(live.items).toMatchObject([{ id: launchId, percent: 100, phase: 'ready', nodeId }])
  expect((await at.client.listNodes({ query: { model: 'other' } })).items).toEqual([])
})

test('metrics count calls by route and status, and what the world is like', async () => {
  await call('/api/nodes', {}, null)
  const text = await at.client.metrics()
  expect(text).toContain('flightdeck_http_request_seconds_count{route="listNodes",status="401"}')
  expect(text).toMatch(/flightdeck_nodes\{state="ready",verdict="unknown"\} \d/)
  expect(text).toMatch(/flightdeck_database_pool_size \d/)
})

test('what a label can say is there with 0 before it happens, so that the first time is an increase', async () => {
  const before = await at.client.metrics()
  for (const figure of [
    'flightdeck_nodes{state="ready",verdict="dead"} 0',
    'flightdeck_launches_over_total{outcome="failed"} 0',
    'flightdeck_nodes_failed_total{code="node_dead"} 0',
    'flightdeck_notices{kind="reclaim"} 0',
    'flightdeck_node_longest_seconds{state="releasing"} 0',
  ])
    expect(before.split('\n')).toContain(figure)
  at.api.observePass('node', 5, false, false)
  const after = (await at.client.metrics()).split('\n')
  expect(after).toContain('flightdeck_loop_pass_seconds_count{loop="node",result="same"} 1')
  expect(after).toContain('flightdeck_loop_pass_seconds_count{loop="node",result="failed"} 0')
})

test('a port that is taken is an error of the start, and nothing is left behind', async () => {
  const { port } = at.api
  const second = startApi({
    ...at.deps,
    install: 'abcde',
    log: makeLog('api-test', 'silent'),
    listen: { host: '127.0.0.1', port },
    gatewayTokenHash: '0'.repeat(64),
    agentDir: '/nowhere',
    databaseKind: 'embedded',
  })
  await expect(second).rejects.toThrow('EADDRINUSE')
})

test('a stopping server tells its live readers and the gateways that wait, and lets go of the port', async () => {
  const own = await startTestApi()
  const socket = new WebSocket(own.api.url.replace('http', 'ws') + livePath)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await new Promise((resolve) => socket.once('open', resolve))
  const authorization = `Bearer ${own.tokens.gateway}`
  const { version } = (await (await fetch(`${own.api.url}/gateway/table`, { headers: { authorization } })).json()) as {
    version: string
  }
  const waiting = request(`${own.api.url}/gateway/table?after=${version}&waitMs=50000`, { headers: { authorization } })
  const held = new Promise<number | undefined>((resolve, reject) => {
    waiting.once('response', ({ statusCode }) => resolve(statusCode)).once('error', reject)
  })
  await new Promise<void>((resolve) => waiting.end(resolve))
  // One more round trip: the server has read what was sent before it.
  await fetch(`${own.api.url}/api/health`)
  const begun = performance.now()
  await own.end()
  expect(await closed).toBe(4009)
  expect(await held).toBe(204)
  expect(performance.now() - begun).toBeLessThan(3_000)
  await expect(fetch(`${own.api.url}/api/health`)).rejects.toThrow('fetch failed')
})
