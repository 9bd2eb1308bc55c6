import assert from 'node:assert/strict'
import { afterEach, beforeEach, test, vi } from 'vitest'
import { type Cloud, CloudRefuses } from '../clouds/cloud.ts'
import { failureRecord } from '../core/failure.ts'
import type { Offer } from '../core/offer.ts'
import { defaultSettings } from '../core/settings.ts'
import { systemClock } from '../lib/clock.ts'
import { makeLog } from '../lib/log.ts'
import { makeVault } from '../lib/vault.ts'
import { ensureInstall } from '../store/install.ts'
import { loadOfferReads, loadOffers } from '../store/offers.ts'
import { type TestStore, testStore } from '../store/test-database.ts'
import { Continuity } from './continuity.ts'
import { startLoops } from './loops.ts'
import { firstOffers } from './offers.ts'

let base: TestStore
beforeEach(async () => {
  base = await testStore()
})
afterEach(() => base.drop())

const offer = (cloud: string): Offer => ({
  id: `${cloud}/here/cpu`,
  cloud,
  region: 'here',
  gpu: null,
  gpuCount: 0,
  vramGib: 0,
  spot: false,
  pricePerHourMicroUsd: 0,
  available: null,
})

const traits: Cloud['traits'] = {
  confirmGoneMs: 0,
  listingLagMs: 0,
  askLimitMs: 0,
  requestLimitMs: 1_000,
  bootLimitMs: 200,
  loadLimitMs: 30,
  drainLimitMs: 0,
  lookMs: 1_000,
  lookFastMs: 1_000,
}

const cloudWith = (name: string, offers: Cloud['offers']): Cloud => ({
  name,
  traits,
  offers,
  ensureMachine: async () => ({ accepted: true }),
  ensureGone: async () => undefined,
  listMachines: async () => [],
})

test('the loops have started only when offers are known, work meanwhile, and wait for no cloud that fails', async () => {
  const vault = makeVault(Buffer.alloc(32))
  const { db } = base.store
  const install = (await ensureInstall(db, vault.check, systemClock.now())).id
  const slow = Promise.withResolvers<Offer[]>()
  const clouds = [cloudWith('slow', () => slow.promise), cloudWith('broken', () => Promise.reject(new Error('no')))]
  let settled = false
  const starting = startLoops(
    base.store,
    {
      db,
      clouds: new Map(clouds.map((cloud) => [cloud.name, cloud])),
      clock: systemClock,
      log: makeLog('test', 'silent'),
      settings: defaultSettings,
      vault,
      install,
      continuity: new Continuity(0),
    },
    { server: 'here' },
  ).finally(() => {
    settled = true
  })
  const healthPasses = () => db.selectFrom('passes').selectAll().where('loop', '=', 'health').execute()
  await vi.waitFor(async () => assert.equal((await healthPasses()).length, 1), { timeout: 5_000, interval: 10 })
  assert.equal(settled, false)
  slow.resolve([offer('slow')])
  const loops = await starting
  try {
    assert.deepEqual(await loadOffers(db), [{ ...offer('slow'), attemptLimitMs: 1_230 }])
  } finally {
    await loops.stop()
  }
})

test('the last good offers of a cloud that does not answer are kept with their time; one that refuses us offers nothing', async () => {
  const { db } = base.store
  const vault = makeVault(Buffer.alloc(32))
  let now = 1_000
  let answer: () => Promise<Offer[]> = async () => [offer('aws')]
  const reads = async () => {
    now += 1_000
    const log = makeLog('test', 'silent')
    const clock = { ...systemClock, now: () => now }
    const clouds = new Map([['aws', cloudWith('aws', () => answer())]])
    const shared = { db, clouds, clock, log, settings: defaultSettings, vault, install: 'x' }
    await firstOffers({ ...shared, continuity: new Continuity(0), fleetSize: base.store.fleetSize })
    const [read] = await loadOfferReads(db)
    return { ...read, failure: read?.failure?.code ?? null, offers: (await loadOffers(db)).length }
  }
  assert.deepEqual(await reads(), { cloud: 'aws', readAt: 2_000, failedAt: null, failure: null, offers: 1 })
  answer = () => Promise.reject(new Error('no answer'))
  assert.deepEqual(await reads(), {
    cloud: 'aws',
    readAt: 2_000,
    failedAt: 3_000,
    failure: 'cloud_unavailable',
    offers: 1,
  })
  const refusal = failureRecord('cloud_credentials', 'Not enabled.')
  answer = () => Promise.reject(new CloudRefuses(refusal, null))
  assert.deepEqual(await reads(), {
    cloud: 'aws',
    readAt: 2_000,
    failedAt: 4_000,
    failure: 'cloud_credentials',
    offers: 0,
  })
  answer = async () => [offer('aws')]
  assert.deepEqual(await reads(), { cloud: 'aws', readAt: 5_000, failedAt: null, failure: null, offers: 1 })
})
