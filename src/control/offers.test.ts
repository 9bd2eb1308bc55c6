import assert from 'node:assert/strict'
import { afterEach, beforeEach, test, vi } from 'vitest'
import type { Cloud } from '../clouds/cloud.ts'
import type { Offer } from '../core/offer.ts'
import { defaultSettings } from '../core/settings.ts'
import { systemClock } from '../lib/clock.ts'
import { makeLog } from '../lib/log.ts'
import { makeVault } from '../lib/vault.ts'
import { ensureInstall } from '../store/install.ts'
import { loadOffers } from '../store/offers.ts'
import { type TestStore, testStore } from '../store/test-database.ts'
import { Continuity } from './continuity.ts'
import { startLoops } from './loops.ts'

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
  requestLimitMs: 0,
  bootLimitMs: 0,
  loadLimitMs: 0,
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
    assert.deepEqual(await loadOffers(db), [offer('slow')])
  } finally {
    await loops.stop()
  }
})
