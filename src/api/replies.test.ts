import { afterAll, beforeAll, expect, test } from 'vitest'
import { failureRecord } from '../core/failure.ts'
import { at as atTime, json } from '../store/database.ts'
import { CallFailure, type Client } from '../wire/client.ts'
import { type RouteName, routes } from '../wire/routes.ts'
import { startTestApi, type TestApi } from './api-for-tests.ts'

const canary = 'canary-3f9d1c-secret-value'
const hour = 3_600_000

let at: TestApi
let ids: { launch: string; node: string; ready: string; deployment: string; key: string; operator: string }

// Every reply of this server is held against its schema as it leaves, unknown fields included.
beforeAll(async () => {
  at = await startTestApi()
  const loading = await at.node({ state: 'loading' })
  const ready = await at.node({ state: 'ready', launchState: 'live' })
  const gone = await at.node({ state: 'gone', launchState: 'ending' })
  await at.launch()
  await at.client.putSecret({ params: { id: 'HF_TOKEN' }, body: { value: canary } })
  const key = await at.client.createKey({ body: { name: 'app', models: ['tiny'] } })
  const operator = await at.client.createOperator({ body: { name: 'extra', role: 'viewer' } })
  await seedFigures(ready.nodeId, gone.nodeId)
  const [deployment] = (await at.client.listDeployments()).items
  ids = {
    launch: loading.launchId,
    node: loading.nodeId,
    ready: ready.nodeId,
    deployment: deployment?.id ?? '',
    key: key.id,
    operator: operator.id,
  }
})
afterAll(() => at?.end())

/** An hour of starting, two of serving that still runs, one of ending; half of the service busy; a million tokens. */
async function seedFigures(ready: string, gone: string): Promise<void> {
  const { db } = at.deps.store
  const now = Date.now()
  const nodes = await db.selectFrom('nodes').selectAll().where('id', 'in', [ready, gone]).execute()
  for (const node of nodes) {
    const interval = (duty: 'starting' | 'serving' | 'ending', from: number, to: number | null) => ({
      node_id: node.id,
      launch_id: node.launch_id,
      deployment_id: node.deployment_id,
      tenant_id: node.tenant_id,
      requested_by: 'root',
      cloud: 'local',
      region: 'here',
      spot: false,
      duty,
      price_per_hour_micro_usd: 3_600_000,
      opened_at: atTime(now + from),
      closed_at: to === null ? null : atTime(now + to),
      amount_micro_usd: to === null ? null : ((to - from) / hour) * 3_600_000,
    })
    const rows =
      node.id === ready
        ? [interval('starting', -3 * hour, -2 * hour), interval('serving', -2 * hour, null)]
        : [interval('ending', -2 * hour, -hour)]
    await db.insertInto('ledger').values(rows).execute()
  }
  await db
    .updateTable('attempts')
    .set({ closed_at: atTime(now), outcome: 'failed' })
    .where('node_id', '=', gone)
    .execute()
  await db
    .updateTable('nodes')
    .set({ failure: json(failureRecord('engine_failed', 'Out of memory.')) })
    .where('id', '=', gone)
    .execute()
  await db
    .updateTable('signals')
    .set({
      heard_at: atTime(now),
      busy_ms: hour,
      in_flight: 2,
      probe_at: atTime(now),
      probe_good: true,
      probe_detail: 'answered',
    })
    .where('node_id', '=', ready)
    .execute()
  const minute = { minute: atTime(now - 60_000), key_id: 'k', node_id: ready, model: 'tiny', requests: 9 }
  const counts = { failed_requests: 0, aborted_requests: 0, estimated_tokens: 0, duration_ms: 1 }
  await db
    .insertInto('usage_minutes')
    .values({ ...minute, ...counts, prompt_tokens: 400_000, completion_tokens: 600_000 })
    .execute()
  await db
    .insertInto('passes')
    .values({ server: 'here', loop: 'node', at: atTime(now), took_ms: 1.5, moved: 1, every_ms: 1_000 })
    .execute()
}

type OfMachines = 'join' | 'heartbeat' | 'notice' | 'progress' | 'gatewayTable' | 'gatewayReport'
/** They answer browsers alone, and through a gateway: session.test.ts, chat.test.ts. */
type Elsewhere = 'signIn' | 'signOut' | 'chat'

/** One call for each route that people use; the compiler misses none, because the list is the contract's. */
const calls: Record<Exclude<RouteName, OfMachines | Elsewhere>, (client: Client) => Promise<unknown>> = {
  health: (client) => client.health(),
  openapi: (client) => client.openapi(),
  metrics: (client) => client.metrics(),
  me: (client) => client.me(),
  status: (client) => client.status(),
  pause: (client) => client.pause({ body: { paused: true, reason: 'a test' } }),
  armSweep: (client) => client.armSweep({ body: { armed: true } }),
  plan: (client) => client.plan({ body: { model: 'tiny', replicas: 2 } }),
  createLaunch: (client) => client.createLaunch({ body: { model: 'tiny', wish: { spot: 'never' } } }),
  listLaunches: (client) => client.listLaunches(),
  showLaunch: (client) => client.showLaunch({ params: { id: ids.launch } }),
  transcript: (client) => client.transcript({ params: { id: ids.launch } }),
  listNodes: (client) => client.listNodes({ query: { all: true } }),
  showNode: (client) => client.showNode({ params: { id: ids.ready } }),
  nodeSamples: (client) => client.nodeSamples({ params: { id: ids.ready } }),
  nodeLogs: (client) => client.nodeLogs({ params: { id: ids.node }, query: { after: -1 } }),
  listDeployments: (client) => client.listDeployments(),
  createDeployment: (client) => client.createDeployment({ body: { name: 'two', model: 'tiny', wanted: 1 } }),
  showDeployment: (client) => client.showDeployment({ params: { id: ids.deployment } }),
  deploymentSamples: (client) => client.deploymentSamples({ params: { id: ids.deployment }, query: { span: 'day' } }),
  scaleDeployment: (client) => client.scaleDeployment({ params: { id: ids.deployment }, body: { wanted: 7 } }),
  pauseDeployment: (client) => client.pauseDeployment({ params: { id: ids.deployment }, body: { paused: true } }),
  listModels: (client) => client.listModels(),
  listCatalog: (client) => client.listCatalog(),
  listOffers: (client) => client.listOffers(),
  unknownFailures: (client) => client.unknownFailures(),
  listKeys: (client) => client.listKeys(),
  createKey: (client) => client.createKey({ body: { name: 'another' } }),
  revokeKey: (client) => client.revokeKey({ params: { id: ids.key } }),
  listOperators: (client) => client.listOperators(),
  createOperator: (client) => client.createOperator({ body: { name: 'another', role: 'viewer' } }),
  changeRole: (client) => client.changeRole({ params: { id: ids.operator }, body: { role: 'operator' } }),
  disableOperator: (client) => client.disableOperator({ params: { id: ids.operator } }),
  listSecrets: (client) => client.listSecrets(),
  putSecret: (client) => client.putSecret({ params: { id: 'OTHER' }, body: { value: canary } }),
  spend: (client) => client.spend(),
  audit: (client) => client.audit({ query: { limit: 500 } }),
  drainNode: (client) => client.drainNode({ params: { id: ids.ready }, body: { deadlineS: 60 } }),
  holdNode: (client) => client.holdNode({ params: { id: ids.ready }, body: { forS: 60 } }),
  releaseNode: (client) => client.releaseNode({ params: { id: ids.node } }),
  cancelLaunch: (client) => client.cancelLaunch({ params: { id: ids.launch } }),
  deleteSecret: (client) => client.deleteSecret({ params: { id: 'OTHER' } }),
}

test('every route answers as its schema says, and none of them tells a secret, a credential or a hash', async () => {
  const { db } = at.deps.store
  const nodes = await db.selectFrom('nodes').select(['credential_hash', 'join_token_hash']).execute()
  const hashes = nodes.flatMap((node) => [node.credential_hash ?? '', node.join_token_hash])
  const people = await db.selectFrom('operators').select('token_hash').execute()
  const secrets = [canary, ...hashes, ...people.map((person) => person.token_hash), ...Object.values(at.tokens)]
  expect(Object.keys(routes).length).toBe(Object.keys(calls).length + 9)
  for (const [name, call] of Object.entries(calls)) {
    const reply = await call(at.client).catch((error: unknown) => {
      throw new Error(`${name}: ${error instanceof CallFailure ? JSON.stringify(error.error) : error}`)
    })
    const text = JSON.stringify(reply)
    expect([name, secrets.filter((secret) => text.includes(secret))]).toEqual([name, []])
  }
})

test('a refusal quotes no value that was sent in a secret', async () => {
  const wrong = at.client.putSecret({
    params: { id: 'HF_TOKEN' },
    body: { value: canary, extra: 1 } as { value: string },
  })
  const refusal = await wrong.catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(CallFailure)
  expect(JSON.stringify((refusal as CallFailure).error)).not.toContain(canary)
})

test('money is split by duty, failure and idleness, and told per million tokens', async () => {
  const spend = await at.client.spend()
  const near = (dollars: number) => expect.closeTo(dollars * 1_000_000, -5)
  expect(spend).toMatchObject({
    totalMicroUsd: near(14.4),
    burnPerHourMicroUsd: 3_600_000,
    byDuty: { starting: near(3.6), serving: near(7.2), ending: near(3.6) },
    failedMicroUsd: near(3.6),
    idleMicroUsd: near(3.6),
    promptTokens: 400_000,
    completionTokens: 600_000,
    perMillionTokensMicroUsd: near(14.4),
    perMillionTokensBusyMicroUsd: near(10.8),
    byDeployment: [{ deployment: 'tiny', totalMicroUsd: near(14.4) }],
  })
  const now = Date.now()
  const cut = await at.client.spend({
    query: { from: new Date(now - 2.5 * hour).toISOString(), to: new Date(now - 1.5 * hour).toISOString() },
  })
  // Half an hour of each: starting and serving of one node, ending of the other.
  expect(cut.byDuty).toEqual({ starting: near(1.8), serving: near(1.8), held: 0, ending: near(1.8) })
})

test('a node tells its cost as the sum of its ledger, open interval included', async () => {
  const node = await at.client.showNode({ params: { id: ids.ready } })
  expect(node.ledger.map(({ duty, closedAt }) => [duty, closedAt === null])).toEqual([
    ['starting', false],
    ['serving', true],
  ])
  expect(node.costMicroUsd).toBe(node.ledger.reduce((sum, { costMicroUsd }) => sum + costMicroUsd, 0))
  expect(node.signals.probe).toMatchObject({ value: 'good', detail: 'answered' })
})

test('a list costs the same few statements however long it is', async () => {
  const { statements } = at.deps.store.pool
  // The least of some: the routing table is made anew in the background while rows change.
  const costOf = async (call: () => Promise<unknown>) => {
    const counts: number[] = []
    for (let i = 0; i < 5; i++) {
      const before = statements()
      await call()
      counts.push(statements() - before)
    }
    return Math.min(...counts)
  }
  // Each call also looks its token up; launches that wait ask for the order of the queue.
  const costs = async () => [
    await costOf(() => at.client.listLaunches()),
    await costOf(() => at.client.listNodes({ query: { all: true } })),
    await costOf(() => at.client.listDeployments()),
    await costOf(() => at.client.status()),
  ]
  const few = await costs()
  for (let i = 0; i < 5; i++) await at.node({ state: 'ready', launchState: 'live' })
  expect(await costs()).toEqual(few)
  expect(Math.max(...few)).toBeLessThanOrEqual(4)
})

test('the phases of launches that got live are the past by which the next one is judged', async () => {
  const own = await startTestApi()
  const { db } = own.deps.store
  const past = await own.node({ state: 'ready', launchState: 'live' })
  const now = Date.now()
  const attempt = await db
    .selectFrom('attempts')
    .select('id')
    .where('node_id', '=', past.nodeId)
    .executeTakeFirstOrThrow()
  await db.deleteFrom('phases').where('attempt_id', '=', attempt.id).execute()
  const spans = [
    ['requesting', 0, 2_000],
    ['booting', 2_000, 8_000],
    ['weights_load', 8_000, 10_000],
  ] as const
  const rows = spans.map(([phase, from, to]) => ({
    attempt_id: attempt.id,
    phase,
    started_at: atTime(now - 20_000 + from),
    ended_at: atTime(now - 20_000 + to),
  }))
  await db.insertInto('phases').values(rows).execute()
  const { launchId } = await own.node({ state: 'loading' })
  const launch = await own.client.showLaunch({ params: { id: launchId } })
  expect(launch.phase).toBe('weights_load')
  expect(launch.percent).toBeGreaterThanOrEqual(80)
  expect(launch.percent).toBeLessThan(100)
  expect(launch.etaMs).toBeLessThanOrEqual(2_000)
  await own.end()
})
