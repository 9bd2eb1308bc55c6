import { afterAll, beforeAll, expect, test } from 'vitest'
import { engineSpecFor } from '../intake/engine-spec.ts'
import { lockJoining } from '../store/joins.ts'
import { CallFailure } from '../wire/client.ts'
import type { PlanView } from '../wire/plan.ts'
import { startTestApi, type TestApi } from './api-for-tests.ts'

let at: TestApi
beforeAll(async () => {
  at = await startTestApi()
})
afterAll(() => at?.end())

type Launch = Parameters<TestApi['client']['createLaunch']>[0]['body']
const plan = (body: Omit<Launch, 'dryRun'>): Promise<PlanView> => at.client.plan({ body })
const refused = async (asked: Promise<unknown>) => {
  const failure = await asked.catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(CallFailure)
  return (failure as CallFailure).error
}

test('a model that no configuration names is launched from a hub or a bucket, under the name that clients use', async () => {
  const { argv, engine, offers } = await plan({ model: 'mine', own: { source: 'org/own-7B' } })
  expect(engine).toBe('vllm')
  expect(argv.slice(0, 4)).toEqual(['vllm', 'org/own-7B', '--served-model-name', 'mine'])
  expect(offers[0]?.unchecked).toContain('org/own-7B')
  const stored = await plan({ model: 'stored', own: { source: 's3://weights/own-7B/v1' } })
  expect(stored.argv.join(' ')).toContain('s3://weights/own-7B/v1')
  expect(stored.argv.join(' ')).toContain('--load-format runai_streamer')
})

test('its deployment keeps where the weights lie: more of it needs no second word, and its node is told', async () => {
  await at.client.createLaunch({ body: { model: 'kept', own: { source: 'org/kept' } } })
  await at.client.createLaunch({ body: { model: 'kept' } })
  const deployment = (await at.client.listDeployments()).items.find(({ name }) => name === 'kept')
  expect(deployment).toMatchObject({ source: 'org/kept', engine: 'vllm', wanted: 2 })
  const { nodeId } = await at.node()
  const { db } = at.deps.store
  await db
    .updateTable('nodes')
    .set({ deployment_id: deployment?.id ?? '' })
    .where('id', '=', nodeId)
    .execute()
  const node = await db.transaction().execute((tx) => lockJoining(tx, nodeId))
  if (!node) throw new Error('the node is there')
  expect(engineSpecFor(at.deps.settings, node)).toMatchObject({
    servedName: 'kept',
    argv: expect.arrayContaining(['org/kept']),
  })
})

test('it is listed with what can be launched by its name, once, beside the models of the configuration', async () => {
  const listed = async () => (await at.client.listModels()).items
  const before = await listed()
  const body = { model: 'listed', own: { source: 's3://weights/listed', engine: 'sglang' as const }, wanted: 0 }
  await at.client.createDeployment({ body: { ...body, name: 'first' } })
  await at.client.createDeployment({ body: { ...body, name: 'second' } })
  const { source, engine } = body.own
  const own = { name: 'listed', source, engine, args: {}, description: '', catalog: null, memory: null, readyNodes: 0 }
  expect(await listed()).toEqual(expect.arrayContaining([own]))
  expect(await listed()).toHaveLength(before.length + 1)
})

test('one name is one model: the configuration and deployments have theirs, and nobody gets answers of both', async () => {
  const taken = await refused(at.client.createLaunch({ body: { model: 'tiny', own: { source: 'org/other' } } }))
  expect([taken.code, taken.details.fields]).toEqual(['name_taken', [{ field: 'body.model', must: 'be another name' }]])
  await at.client.createDeployment({ body: { name: 'one', model: 'named', own: { source: 'org/one' }, wanted: 0 } })
  const other = { name: 'two', model: 'named', own: { source: 'org/two' }, wanted: 0 }
  expect(await refused(at.client.createDeployment({ body: other }))).toMatchObject({
    code: 'name_taken',
    cause: 'The deployment "one" serves org/one as "named".',
  })
  await at.client.createDeployment({ body: { ...other, own: { source: 'org/one' } } })
})

test('a deployment runs its model on one engine, and is not extended by a launch on another', async () => {
  const own = { source: 'org/engines', engine: 'sglang' as const }
  await at.client.createDeployment({ body: { name: 'engines', model: 'engines', own, wanted: 0 } })
  const ask = { deployment: 'engines', model: 'engines' }
  const codes = async (engine: 'sglang' | 'vllm') =>
    (await plan({ ...ask, own: { ...own, engine } })).refusals.map(({ code, cause }) => [code, cause])
  expect(await codes('vllm')).toContainEqual([
    'name_taken',
    'The deployment "engines" runs engines on sglang with no arguments of its own.',
  ])
  expect((await codes('sglang')).map(([code]) => code)).not.toContain('name_taken')
})

test('a path of the machine, an argument in disguise and an address that is no bucket are refused at the field', async () => {
  for (const source of [
    '/etc/passwd',
    './weights',
    '../up',
    '-x/y',
    'a/b/c',
    's3://',
    's3://-x/y',
    's3://ok/../up',
    'http://h/x',
    's3://b/$(id)',
  ]) {
    const { details } = await refused(plan({ model: 'mine', own: { source } }))
    expect([source, details.fields]).toEqual([
      source,
      [{ field: 'body.own.source', must: expect.stringContaining('hub path') }],
    ])
  }
})

test('without a source an unknown name is unknown as ever', async () => {
  expect((await refused(plan({ model: 'no-such' }))).code).toBe('unknown_model')
})
