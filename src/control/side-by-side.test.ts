import assert from 'node:assert/strict'
import { afterEach, beforeEach, test, vi } from 'vitest'
import type { Cloud } from '../clouds/cloud.ts'
import { createDeployment } from '../commands/deployments.ts'
import { createLaunch } from '../commands/launches.ts'
import { anyWish } from '../core/offer.ts'
import { systemClock } from '../lib/clock.ts'
import { makeLog } from '../lib/log.ts'
import { SimCloud } from '../sim/cloud.ts'
import { cheapOffer, type TestWorld, testSettings, testWorld } from '../store/world-for-tests.ts'
import { Continuity } from './continuity.ts'
import { startLoops } from './loops.ts'

const many = 12
const soon = { timeout: 60_000, interval: 20 }
const wish = { ...anyWish, clouds: ['local'], regions: [], gpus: [] }

let world: TestWorld
let loops: Awaited<ReturnType<typeof startLoops>> | null
/** The names that the cloud was asked for, also while it does not answer. */
let asked: string[]
let answers: PromiseWithResolvers<void>
let freed: PromiseWithResolvers<void>
beforeEach(async () => {
  world = await testWorld({ ...testSettings, attemptsInFlight: many })
  loops = null
  asked = []
  answers = Promise.withResolvers<void>()
  freed = Promise.withResolvers<void>()
})
afterEach(async () => {
  answers.resolve()
  freed.resolve()
  await loops?.stop()
  await world.drop()
})

/** All loops of a control plane, over a cloud that leaves every ask unanswered until it is told to go on. */
async function begin(attemptsInFlight = many): Promise<void> {
  const { store, settings, vault } = world.deps
  const sim = new SimCloud({ clock: systemClock, name: 'local', offers: [cheapOffer], faults: { neverBoots: true } })
  const minute = 60_000
  const cloud: Cloud = {
    name: sim.name,
    traits: { ...sim.traits, askLimitMs: minute, requestLimitMs: minute, bootLimitMs: minute, listingLagMs: 0 },
    offers: () => sim.offers(),
    listMachines: () => sim.listMachines(),
    ensureGone: (name) => sim.ensureGone(name),
    ensureMachine: async (ask) => {
      asked.push(ask.name)
      await answers.promise
      return sim.ensureMachine(ask)
    },
  }
  loops = await startLoops(
    store,
    {
      db: store.db,
      clouds: new Map([[cloud.name, cloud]]),
      clock: systemClock,
      log: makeLog('test', 'silent'),
      settings: { ...settings, attemptsInFlight },
      vault,
      install: world.install,
      continuity: new Continuity(0),
    },
    { server: 'here' },
  )
}

const commands = () => ({ ...world.deps, clock: systemClock })
const launch = () =>
  createLaunch(commands(), world.actor, { model: 'sim-small', engineArgs: {}, wish, dryRun: false }, null)
const launchAll = (count: number) => Promise.all(Array.from({ length: count }, launch))
const launchRows = () => world.deps.store.db.selectFrom('launches').select(['id', 'slot_id', 'origin']).execute()

/** The loop looks again. */
async function nextPass(loop: string): Promise<void> {
  const passedAt = async () => {
    const { db } = world.deps.store
    return (await db.selectFrom('passes').select('at').where('loop', '=', loop).executeTakeFirstOrThrow()).at
  }
  const before = await passedAt()
  await vi.waitFor(async () => assert.ok((await passedAt()) > before), soon)
}

test('launches run side by side: none waits for the cloud of another', async () => {
  await begin()
  await launchAll(many)
  await vi.waitFor(() => assert.equal(asked.length, many), soon)
  assert.equal(new Set(asked).size, many)
}, 120_000)

test('no more attempts are in flight than are configured, though all launches are looked at side by side', async () => {
  await launchAll(many)
  await begin(3)
  await vi.waitFor(() => assert.equal(asked.length, 3), soon)
  await nextPass('launch')
  const attempts = await world.deps.store.db.selectFrom('attempts').select('id').execute()
  assert.deepEqual([attempts.length, asked.length], [3, 3])
}, 120_000)

test('a launch whose rows somebody holds on to holds up no other', async () => {
  await launchAll(many)
  const [held] = await launchRows()
  assert.ok(held)
  const locked = Promise.withResolvers<void>()
  const holding = world.deps.store.db.transaction().execute(async (tx) => {
    await tx.selectFrom('launches').select('id').where('id', '=', held.id).forUpdate().execute()
    await tx.selectFrom('claims').select('row_id').where('row_id', '=', held.id).forUpdate().execute()
    locked.resolve()
    await freed.promise
  })
  await locked.promise
  await begin()
  await vi.waitFor(() => assert.equal(asked.length, many - 1), soon)
  freed.resolve()
  await holding
  await vi.waitFor(() => assert.equal(asked.length, many), soon)
}, 120_000)

test('launches by hand and the loop that fills a deployment never take one slot twice, and both count', async () => {
  await begin()
  const [replicas, byHand] = [4, 6]
  await createDeployment(commands(), world.actor, {
    name: 'sim-small',
    model: 'sim-small',
    engineArgs: {},
    wish,
    wanted: replicas,
  })
  await launchAll(byHand)
  await vi.waitFor(() => assert.equal(asked.length, replicas + byHand), soon)
  answers.resolve()
  // With all of them there: nothing is left to fill, and nothing is too many.
  await nextPass('deployment')
  const rows = await launchRows()
  assert.equal(new Set(rows.map(({ slot_id }) => slot_id)).size, replicas + byHand)
  assert.deepEqual([rows.length, asked.length], [replicas + byHand, replicas + byHand])
  assert.equal(rows.filter(({ origin }) => origin === 'hand').length, byHand)
}, 120_000)
