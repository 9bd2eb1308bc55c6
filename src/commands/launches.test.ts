import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LaunchState } from '../core/launch-table.ts'
import { saveOffers } from '../store/offers.ts'
import { lookAtQueue } from '../store/queue.ts'
import { gpuOffer, type TestWorld, testSettings, testWorld } from '../store/world-for-tests.ts'
import type { LaunchRequest } from '../wire/routes.ts'
import { cancelLaunch, createLaunch } from './launches.ts'
import { planLaunch } from './plan.ts'

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

const anyWish: LaunchRequest['wish'] = {
  clouds: [],
  regions: [],
  gpus: [],
  gpuCount: null,
  spot: 'allow',
  maxPricePerHourMicroUsd: null,
}

const request = (over: Partial<LaunchRequest> = {}): LaunchRequest => ({
  model: 'sim-small',
  engineArgs: {},
  wish: anyWish,
  dryRun: false,
  ...over,
})
const create = (over: Partial<LaunchRequest> = {}, key: string | null = null) =>
  createLaunch(world.deps, world.actor, request(over), key)
const db = () => world.deps.store.db
const refusal = (code: string, record: object = {}) =>
  expect.objectContaining({ code, record: expect.objectContaining(record) })
const wantedOf = async (name: string) =>
  (await db().selectFrom('deployments').select('wanted').where('name', '=', name).executeTakeFirst())?.wanted

test('a plan names engine words, ranked offers and what they cost, and writes nothing', async () => {
  const plan = await planLaunch(world.deps, world.actor, request({ engineArgs: { seed: 1 } }))
  expect(plan).toMatchObject({
    engine: 'sim',
    deployment: 'sim-small',
    offers: [{ id: 'local/here/cpu' }, { id: 'sky/eu/a100' }],
    pricePerHourMicroUsd: 100_000,
    pricePerMonthMicroUsd: 73_000_000,
    // Both offers, as often as a launch may try them.
    timeLimitS: 2 * 2 * 2 * 1_800,
    timeLimitCountsWaits: false,
    queuePlace: 1,
  })
  expect(plan.argv).toEqual(
    expect.arrayContaining(['engine-sim', '{port}', '--max-model-len', '1024', '--seed', '1', '127.0.0.1']),
  )
  expect(await db().selectFrom('deployments').selectAll().execute()).toEqual([])
})

test('what cannot run is refused with a remedy before anything is written', async () => {
  const plan = (over: Partial<LaunchRequest>) => planLaunch(world.deps, world.actor, request(over))
  await expect(plan({ model: 'nope' })).rejects.toEqual(
    refusal('unknown_model', { remedy: expect.stringContaining('sim-small, Org/Big-7B') }),
  )
  await expect(plan({ engineArgs: { host: '0.0.0.0' } })).rejects.toEqual(refusal('forbidden_argument'))
  await expect(plan({ engineArgs: { seed: 'x' } })).rejects.toEqual(refusal('malformed_argument'))
  await expect(create({ wish: { ...anyWish, gpus: ['H100'] } })).rejects.toEqual(
    refusal('no_offer_fits', { cause: expect.stringContaining('GPU') }),
  )
  world.deps.settings = { ...testSettings, engines: {} }
  await expect(plan({})).rejects.toEqual(refusal('unknown_engine'))
})

test('bare metal that takes an hour to come is given it; a limit that cuts it short is warned of, and kept as it was asked', async () => {
  const vultr = { ...gpuOffer, id: 'vultr/ewr/a100', cloud: 'vultr', attemptLimitMs: 145 * 60_000 }
  await saveOffers(db(), 'vultr', [vultr], world.deps.clock.now() + 1)
  const wish = { ...anyWish, clouds: ['vultr'] }
  const longest = world.deps.settings.launchMaxTimeLimitS
  expect(await planLaunch(world.deps, world.actor, request({ wish }))).toMatchObject({
    timeLimitS: longest,
    timeLimitCountsWaits: false,
    warnings: [],
  })
  expect(await planLaunch(world.deps, world.actor, request({ wish, timeLimitS: 1_800 }))).toMatchObject({
    timeLimitS: 1_800,
    timeLimitCountsWaits: true,
    warnings: [expect.stringMatching(/30 min is shorter than one attempt may take at vultr \(145 min\)/)],
  })
  const { launchId } = await create({ wish })
  const kept = await db().selectFrom('launches').selectAll().where('id', '=', launchId).executeTakeFirstOrThrow()
  expect([kept.deadline_at - kept.created_at, kept.waits_count]).toEqual([longest * 1_000, false])
})

test('a launch makes its deployment, raises the wanted count, takes a slot and wakes the loops', async () => {
  const { launchId, created } = await create({ timeLimitS: 60, concurrency: 8 })
  expect(created).toBe(true)
  const launch = await db().selectFrom('launches').selectAll().where('id', '=', launchId).executeTakeFirstOrThrow()
  expect(launch).toMatchObject({ state: 'queued', origin: 'hand', requested_by: 'ann', holds_slot: true })
  expect(launch).toMatchObject({ time_limit_s: 60, concurrency: 8 })
  expect(launch.deadline_at).toBe(world.deps.clock.now() + 60_000)
  expect(launch.offers.map(({ id }) => id)).toEqual(['local/here/cpu', 'sky/eu/a100'])
  expect(await wantedOf('sim-small')).toBe(1)
  const claims = await db().selectFrom('claims').select(['loop', 'row_id']).orderBy('loop').execute()
  expect(claims).toEqual([
    { loop: 'deployment', row_id: launch.deployment_id },
    { loop: 'launch', row_id: launchId },
  ])
  const audit = await db().selectFrom('audit').select(['who', 'action', 'target', 'address']).execute()
  expect(audit).toEqual([{ who: 'ann', action: 'launch.create', target: launchId, address: '10.0.0.7' }])
})

test('twenty launches at once get twenty slots of one deployment', async () => {
  await Promise.all(Array.from({ length: 20 }, () => create()))
  const slots = await db().selectFrom('launches').select('slot_id').distinct().execute()
  expect(slots).toHaveLength(20)
  expect(await wantedOf('sim-small')).toBe(20)
})

test('one idempotency key is one launch, however many ask at once', async () => {
  const made = await Promise.all(Array.from({ length: 8 }, () => create({}, 'k1')))
  expect(new Set(made.map(({ launchId }) => launchId)).size).toBe(1)
  expect(made.filter(({ created }) => created)).toHaveLength(1)
  expect(await wantedOf('sim-small')).toBe(1)
  expect(await create({}, 'k1')).toEqual({ launchId: made[0]?.launchId, created: false })
})

test('two deployments under one key at once: the unique index lets one through', async () => {
  const both = await Promise.allSettled([create({ deployment: 'a' }, 'k'), create({ deployment: 'b' }, 'k')])
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'idempotency_mismatch' } })
  expect(await db().selectFrom('launches').select('id').execute()).toHaveLength(1)
})

test('a repeated request finds its launch even when nothing is offered any more; another request is refused', async () => {
  const first = await create({}, 'k1')
  await db().deleteFrom('offers').execute()
  expect(await create({}, 'k1')).toEqual({ launchId: first.launchId, created: false })
  await expect(create({ timeLimitS: 99 }, 'k1')).rejects.toEqual(refusal('idempotency_mismatch'))
  await expect(create({}, 'k2')).rejects.toEqual(refusal('no_offer_fits'))
})

test('another person may use the same idempotency key', async () => {
  const mine = await create({}, 'k1')
  const theirs = await createLaunch(world.deps, { ...world.actor, name: 'bob' }, request(), 'k1')
  expect(theirs.created).toBe(true)
  expect(theirs.launchId).not.toBe(mine.launchId)
})

test('a deployment of another model or other arguments is not filled with this one', async () => {
  await create({ deployment: 'd', engineArgs: { seed: 1 } })
  await expect(create({ deployment: 'd', model: 'Org/Big-7B' })).rejects.toEqual(refusal('name_taken'))
  await expect(create({ deployment: 'd', engineArgs: { seed: 2 } })).rejects.toEqual(refusal('name_taken'))
  // Named on purpose and without arguments: those of the deployment are meant.
  expect((await create({ deployment: 'd' })).created).toBe(true)
  expect(await wantedOf('d')).toBe(2)
})

test('more launches than a minute allows are refused with the time to wait, also when they come at once', async () => {
  world.deps.settings = { ...testSettings, launchesPerMinute: 3 }
  const many = await Promise.allSettled(Array.from({ length: 6 }, () => create()))
  expect(many.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  expect(many.find(({ status }) => status === 'rejected')).toMatchObject({
    reason: { code: 'rate_limited', details: { retryAfterS: 60 } },
  })
  expect((await createLaunch(world.deps, { ...world.actor, name: 'bob' }, request(), null)).created).toBe(true)
  world.deps.clock.pass(60_000)
  expect((await create()).created).toBe(true)
})

test('a paused install still queues launches', async () => {
  await db().updateTable('install').set({ paused: true }).execute()
  expect((await create()).created).toBe(true)
})

test('cancelling marks the launch, lowers the wanted count once, and is idempotent', async () => {
  const { launchId } = await create()
  await Promise.all([1, 2, 3].map(() => cancelLaunch(world.deps, world.actor, launchId)))
  const launch = await db().selectFrom('launches').selectAll().where('id', '=', launchId).executeTakeFirstOrThrow()
  expect(launch).toMatchObject({ unwanted_outcome: 'cancelled', unwanted_by: 'ann', unwanted_at: launch.created_at })
  expect(await wantedOf('sim-small')).toBe(0)
  const told = await db().selectFrom('events').select('kind').where('launch_id', '=', launchId).execute()
  expect(told.map(({ kind }) => kind)).toEqual(['launch.queued', 'launch.cancel_asked'])
  const audit = await db().selectFrom('audit').select('action').execute()
  expect(audit.map(({ action }) => action)).toEqual(['launch.create', 'launch.cancel'])
})

test('a launch that is over or on its way out changes no count; one of another tenant is not there', async () => {
  const { launchId } = await create()
  const set = (state: LaunchState) => db().updateTable('launches').set({ state }).execute()
  await set('ending')
  await cancelLaunch(world.deps, world.actor, launchId)
  expect(await wantedOf('sim-small')).toBe(1)
  await set('cancelled')
  expect(await cancelLaunch(world.deps, world.actor, launchId)).toEqual({ over: true })
  expect(await wantedOf('sim-small')).toBe(1)
  for (const state of ['ended', 'failed', 'timed_out'] as const) {
    await set(state)
    await expect(cancelLaunch(world.deps, world.actor, launchId)).rejects.toEqual(refusal('wrong_state'))
  }
  const stranger = { ...world.actor, tenantId: 'te-other' }
  await expect(cancelLaunch(world.deps, stranger, launchId)).rejects.toEqual(refusal('not_found'))
  await expect(cancelLaunch(world.deps, world.actor, 'la-nope')).rejects.toEqual(refusal('not_found'))
})

test('the queue is fair between owners and in order within one, and refills stand in line for who made the deployment', async () => {
  const asked = async (name: string, deployment: string) => {
    world.deps.clock.pass(1_000)
    const made = await createLaunch(world.deps, { ...world.actor, name }, request({ deployment }), null)
    return made.launchId
  }
  const [ann1, ann2, bob1, ann3] = [
    await asked('ann', 'a'),
    await asked('ann', 'b'),
    await asked('bob', 'c'),
    await asked('ann', 'd'),
  ]
  const order = async () => (await lookAtQueue(db())).order.map(({ launchId }) => launchId)
  expect(await order()).toEqual([ann1, bob1, ann2, ann3])
  await db()
    .updateTable('launches')
    .set({ origin: 'deployment', requested_by: 'deployment:b' })
    .where('id', '=', String(ann2))
    .execute()
  expect(await order()).toEqual([ann1, bob1, ann2, ann3])
  await db().updateTable('launches').set({ state: 'attempting' }).where('id', '=', String(ann1)).execute()
  expect(await order(), 'who has none in flight comes first').toEqual([bob1, ann2, ann3])
})
