import assert from 'node:assert/strict'
import { afterAll, beforeAll, test } from 'vitest'
import { guardKinds } from '../core/guard.ts'
import { makeLog } from '../lib/log.ts'
import { SimCloud } from '../sim/cloud.ts'
import { claimDue, enrol, finishClaim } from '../store/claims.ts'
import { saveGuard } from '../store/guard.ts'
import { armSweep } from '../store/pause.ts'
import { transact } from '../store/transact.ts'
import { cheapOffer, type TestWorld, testWorld } from '../store/world-for-tests.ts'
import { Continuity } from './continuity.ts'
import { sweepLoop } from './sweep.ts'

let world: TestWorld
beforeAll(async () => {
  world = await testWorld()
})
afterAll(() => world?.drop())

test('a lost machine is released while nodes with faulty GPUs wait for their turn, and while anything else holds it is only shown', async () => {
  const { store, clock, settings, vault } = world.deps
  const { db, fleetSize } = store
  const cloud = new SimCloud({ clock, name: 'local' })
  const parts = { db, fleetSize, clock, settings, vault, install: world.install, log: makeLog('test', 'silent') }
  const sweep = sweepLoop({ ...parts, continuity: new Continuity(0), clouds: new Map([['local', cloud]]) })
  await armSweep(db)
  await enrol(db, 'sweep', 'local', clock.now(), 'local')
  await cloud.ensureMachine({ name: `fd-${world.install}-lost`, offer: cheapOffer, joinToken: 'x' })

  const pass = async () => {
    clock.pass(60_000)
    const who = { holder: 'here', realms: ['local'], acts: true }
    for (const claim of await claimDue(db, 'sweep', 1, clock.now(), 20_000, who))
      await finishClaim(db, claim, (await sweep.pass(claim)).nextDueAt)
  }
  const held = async (kind: (typeof guardKinds)[number]) => {
    await transact(db, (tx) => saveGuard(tx, { kind, reason: 'for a test', until: null }, clock.now()))
    for (let i = 0; i < 2; i++) await pass()
    return cloud.calls.ensureGone
  }
  for (const kind of guardKinds) if (kind !== 'gpu_faults') assert.equal(await held(kind), 0, kind)
  assert.equal(await held('gpu_faults'), 1)
})
