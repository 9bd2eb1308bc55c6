import { afterAll, beforeAll, expect, test } from 'vitest'
import { failureRecord } from '../core/failure.ts'
import type { Offer } from '../core/offer.ts'
import { at as atTime, json } from '../store/database.ts'
import { saveOffers } from '../store/offers.ts'
import { CallFailure } from '../wire/client.ts'
import { offer, startTestApi, type TestApi } from './api-for-tests.ts'

let at: TestApi

const rented = (over: Partial<Offer>): Offer => ({
  ...offer,
  cloud: 'sky',
  gpu: 'H100',
  gpuCount: 1,
  vramGib: 80,
  ...over,
})

beforeAll(async () => {
  at = await startTestApi()
  await saveOffers(
    at.deps.store.db,
    'sky',
    [
      rented({ id: 'sky/eu', region: 'eu', pricePerHourMicroUsd: 3_000_000 }),
      rented({ id: 'sky/us', region: 'us', pricePerHourMicroUsd: 2_000_000 }),
    ],
    Date.now(),
  )
})
afterAll(() => at?.end())

const wish = { clouds: ['sky'], regions: ['eu', 'us'] }
const fieldsOf = async (asked: Promise<unknown>) => {
  const failure = await asked.catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(CallFailure)
  return (failure as CallFailure).error.details.fields
}

test('a plan tells what all replicas cost by hour and month, and each offer for itself', async () => {
  const plan = await at.client.plan({ body: { model: 'tiny', wish, replicas: 3 } })
  expect(plan).toMatchObject({
    replicas: 3,
    pricePerHourMicroUsd: 3_000_000,
    totalPerHourMicroUsd: 9_000_000,
    totalPerMonthMicroUsd: 9_000_000 * 730,
  })
  expect(plan.offers.map(({ id, pricePerMonthMicroUsd }) => [id, pricePerMonthMicroUsd])).toEqual([
    ['sky/eu', 3_000_000 * 730],
    ['sky/us', 2_000_000 * 730],
  ])
  const dry = await at.client.createLaunch({ body: { model: 'tiny', wish, dryRun: true } })
  expect(dry).toMatchObject({ plan: { replicas: 1, totalPerHourMicroUsd: 3_000_000 } })
})

test('each offer says why it stands where it stands, and what failed there lately, with the launch to look at', async () => {
  const { launchId, nodeId } = await at.node()
  const { db } = at.deps.store
  const failure = failureRecord('no_capacity', 'The place is full.')
  await db.updateTable('nodes').set({ cloud: 'sky', region: 'eu' }).where('id', '=', nodeId).execute()
  await db
    .updateTable('attempts')
    .set({
      offer: json(rented({ id: 'sky/eu', region: 'eu' })),
      outcome: 'failed',
      closed_at: atTime(Date.now()),
      failure: json(failure),
    })
    .where('node_id', '=', nodeId)
    .execute()
  const { offers } = await at.client.plan({ body: { model: 'tiny', wish } })
  expect(
    offers.map(({ id, reasons, lately }) => [id, reasons, lately && [lately.launchId, lately.failure.cause]]),
  ).toEqual([
    [
      'sky/eu',
      [
        expect.stringContaining('catalogue'),
        'Its region is number 1 of 2 wished.',
        expect.stringMatching(/^Its price counts [\d.]+ times: it was refused once lately, last for no_capacity\.$/),
      ],
      [launchId, 'The place is full.'],
    ],
    ['sky/us', [expect.stringContaining('catalogue'), 'Its region is number 2 of 2 wished.'], null],
  ])
})

test('every engine argument that is wrong is named with what it must be, in a plan, a launch and a deployment', async () => {
  const engineArgs = { 'max-model-len': 0, host: '0.0.0.0', dtype: 'int1', seed: 7 }
  const wrong = [
    { field: 'body.engineArgs.max-model-len', must: 'must be a whole number from 1 to 10000000' },
    { field: 'body.engineArgs.host', must: 'left out: the engine does not take it here' },
    { field: 'body.engineArgs.dtype', must: expect.stringContaining('must be one of auto, half') },
  ]
  expect(await fieldsOf(at.client.plan({ body: { model: 'tiny', engineArgs } }))).toEqual(wrong)
  expect(await fieldsOf(at.client.createLaunch({ body: { model: 'tiny', engineArgs } }))).toEqual(wrong)
  const deployment = { name: 'wrong', model: 'tiny', engineArgs, wanted: 0 }
  expect(await fieldsOf(at.client.createDeployment({ body: deployment }))).toEqual(wrong)
})

test('whoever may only look may plan, and a plan leaves nothing behind', async () => {
  const before = await at.client.audit()
  await at.clientOf('viewer').plan({ body: { model: 'tiny', deployment: 'planned' } })
  expect((await at.client.listDeployments()).items.map(({ name }) => name)).not.toContain('planned')
  expect(await at.client.audit()).toEqual(before)
})
