import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TestWorld, testWorld } from '../store/world-for-tests.ts'
import type { DeploymentRequest } from '../wire/routes.ts'
import { createDeployment, pauseDeployment, scaleDeployment } from './deployments.ts'
import { pauseAutomation } from './pause.ts'

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

const request: DeploymentRequest = {
  name: 'chat',
  model: 'sim-small',
  engineArgs: { seed: 3 },
  wish: { clouds: [], regions: [], gpus: [], gpuCount: null, spot: 'allow', maxPricePerHourMicroUsd: null },
  wanted: 2,
}
const db = () => world.deps.store.db
const row = (id: string) => db().selectFrom('deployments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const audited = async () => await db().selectFrom('audit').select(['action', 'detail']).orderBy('id').execute()

test('a deployment is written, put under its loop, and its name is taken from then on', async () => {
  const both = await Promise.allSettled([1, 2].map(() => createDeployment(world.deps, world.actor, request)))
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'name_taken' } })
  const rows = await db().selectFrom('deployments').selectAll().execute()
  expect(rows).toMatchObject([{ name: 'chat', engine: 'sim', wanted: 2, engine_args: { seed: 3 }, created_by: 'ann' }])
  const claims = await db().selectFrom('claims').select(['loop', 'row_id']).execute()
  expect(claims).toEqual([{ loop: 'deployment', row_id: rows[0]?.id }])
})

test('one idempotency key is one deployment, however many ask at once, and another request under it is refused', async () => {
  const create = (over: Partial<DeploymentRequest>, key: string, who = world.actor) =>
    createDeployment(world.deps, who, { ...request, ...over }, key)
  const made = await Promise.all(Array.from({ length: 6 }, () => create({}, 'k1')))
  expect(new Set(made.map(({ deploymentId }) => deploymentId)).size).toBe(1)
  const idle = await Promise.all(Array.from({ length: 6 }, () => create({ name: 'idle', wanted: 0 }, 'k2')))
  expect(new Set(idle.map(({ deploymentId }) => deploymentId)).size).toBe(1)
  await db().deleteFrom('offers').execute()
  expect(await create({}, 'k1')).toEqual(made[0])
  await expect(create({ wanted: 3 }, 'k1')).rejects.toMatchObject({ code: 'idempotency_mismatch' })
  await expect(create({}, 'k1', { ...world.actor, name: 'bob' })).rejects.toMatchObject({ code: 'no_offer_fits' })
  expect((await audited()).map(({ action }) => action)).toEqual(['deployment.create', 'deployment.create'])
})

test('two deployments under one key at once: the unique index lets one through', async () => {
  const both = await Promise.allSettled(
    ['a', 'b'].map((name) => createDeployment(world.deps, world.actor, { ...request, name, wanted: 0 }, 'k')),
  )
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'idempotency_mismatch' } })
})

test('what no engine and no offer can do is refused, but nothing need fit while nothing is wanted', async () => {
  const create = (over: Partial<DeploymentRequest>) =>
    createDeployment(world.deps, world.actor, { ...request, ...over })
  await expect(create({ model: 'nope' })).rejects.toMatchObject({ code: 'unknown_model' })
  await expect(create({ engineArgs: { port: 1 } })).rejects.toMatchObject({ code: 'forbidden_argument' })
  const wish = { ...request.wish, regions: ['moon'] }
  await expect(create({ wish })).rejects.toMatchObject({ code: 'no_offer_fits' })
  expect(await create({ wish, wanted: 0 })).toEqual({ deploymentId: expect.stringMatching(/^de-/) })
})

test('scaling sets the count and is told; scaling to the same is not', async () => {
  const { deploymentId } = await createDeployment(world.deps, world.actor, request)
  await scaleDeployment(world.deps, world.actor, deploymentId, { wanted: 5 })
  await scaleDeployment(world.deps, world.actor, deploymentId, { wanted: 5 })
  expect((await row(deploymentId)).wanted).toBe(5)
  expect((await audited()).slice(1)).toEqual([{ action: 'deployment.scale', detail: { from: 2, to: 5 } }])
  await expect(scaleDeployment(world.deps, world.actor, 'de-nope', { wanted: 1 })).rejects.toMatchObject({
    code: 'not_found',
  })
})

test('resuming forgets the failures that had stopped the refilling, also where nobody had paused it', async () => {
  const { deploymentId } = await createDeployment(world.deps, world.actor, request)
  const broken = { failures_in_a_row: 3, last_failure_at: new Date() }
  await db().updateTable('deployments').set(broken).execute()
  await pauseDeployment(world.deps, world.actor, deploymentId, true)
  expect(await row(deploymentId)).toMatchObject({ paused: true, failures_in_a_row: 3 })
  await pauseDeployment(world.deps, world.actor, deploymentId, false)
  expect(await row(deploymentId)).toMatchObject({ paused: false, failures_in_a_row: 0, last_failure_at: null })
  await db().updateTable('deployments').set(broken).execute()
  await pauseDeployment(world.deps, world.actor, deploymentId, false)
  expect(await row(deploymentId)).toMatchObject({ failures_in_a_row: 0 })
})

test('pausing all automation names who and why, and is told once', async () => {
  const pause = (paused: boolean) => pauseAutomation(world.deps, world.actor, { paused, reason: 'cloud is on fire' })
  await pause(true)
  await pause(true)
  const install = () => db().selectFrom('install').selectAll().executeTakeFirstOrThrow()
  expect(await install()).toMatchObject({ paused: true, paused_by: 'ann', paused_reason: 'cloud is on fire' })
  await pause(false)
  expect(await install()).toMatchObject({ paused: false, paused_by: null, paused_reason: null })
  expect((await audited()).map(({ action }) => action)).toEqual(['automation.pause', 'automation.resume'])
})
