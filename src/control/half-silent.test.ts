import assert from 'node:assert/strict'
import { afterAll, beforeAll, test } from 'vitest'
import { makeLog } from '../lib/log.ts'
import { SimCloud } from '../sim/cloud.ts'
import { claimDue, enrol, finishClaim } from '../store/claims.ts'
import { at } from '../store/database.ts'
import { joinTokenFor } from '../store/join-token.ts'
import { addNode, cheapOffer, type TestWorld, testWorld } from '../store/world-for-tests.ts'
import type { ControlDeps } from './context.ts'
import { Continuity } from './continuity.ts'
import { deploymentLoop } from './deployment.ts'
import type { Loop } from './driver.ts'
import { healthLoop } from './health.ts'
import { launchLoop } from './launch.ts'
import { nodeLoop } from './node.ts'
import { sightLoop } from './sight.ts'

const fleet = 100
const stepMs = 5_000

let world: TestWorld
let cloud: SimCloud
let deps: ControlDeps
let loops: readonly Loop[]
beforeAll(async () => {
  world = await testWorld()
  const { store, clock, settings, vault } = world.deps
  const { db } = store
  // What replaces a node takes longer to boot than this test looks.
  const faults = { neverBoots: true }
  const minutes = { requestLimitMs: 900_000, bootLimitMs: 900_000, lookMs: 60_000 }
  cloud = new SimCloud({ clock, name: 'local', offers: [cheapOffer], faults, traits: minutes })
  const continuity = new Continuity(clock.now() - 600_000)
  const log = makeLog('test', 'silent')
  const clouds = new Map([[cloud.name, cloud]])
  deps = { db, clouds, clock, log, settings, vault, install: world.install, continuity, fleetSize: store.fleetSize }
  loops = [healthLoop(deps), sightLoop(deps), deploymentLoop(deps), launchLoop(deps), nodeLoop(deps)]
  for (let i = 0; i < fleet; i++) {
    const { nodeId } = await addNode(world, { state: 'ready' })
    const { name } = await db.selectFrom('nodes').select('name').where('id', '=', nodeId).executeTakeFirstOrThrow()
    await cloud.ensureMachine({ name, offer: cheapOffer, joinToken: joinTokenFor(vault, nodeId) })
  }
  const now = at(clock.now())
  await db.updateTable('nodes').set({ joined_at: now, first_seen_at: now, ready_at: now }).execute()
  await enrol(db, 'health', 'health', clock.now())
  await enrol(db, 'sight', cloud.name, clock.now(), cloud.name)
})
afterAll(() => world?.drop())

/** What agents and gateways say within one step of who can be reached. */
async function speak(reached: readonly string[], cutOff: readonly string[]): Promise<void> {
  const now = at(deps.clock.now())
  const said = (good: boolean, ids: readonly string[], heard: object) =>
    ids.length === 0
      ? Promise.resolve()
      : deps.db
          .updateTable('signals')
          .set({ probe_at: now, probe_good: good, ...heard })
          .where('node_id', 'in', ids)
          .execute()
  await said(true, reached, { heard_at: now })
  await said(false, cutOff, {})
}

async function passAll(): Promise<void> {
  const who = { holder: 'here', realms: [cloud.name] }
  for (const loop of loops) {
    const now = deps.clock.now()
    for (const claim of await claimDue(deps.db, loop.name, 500, now, loop.holdMs, { ...who, acts: loop.acts }))
      await finishClaim(deps.db, claim, (await loop.pass(claim)).nextDueAt)
  }
}

const guard = async () => (await deps.db.selectFrom('install').select('guard').executeTakeFirstOrThrow()).guard
const asked = () => deps.db.selectFrom('nodes').select('id').where('replace_asked_at', 'is not', null).execute()
const states = async (ids: readonly string[]) => {
  const rows = await deps.db.selectFrom('nodes').select('state').where('id', 'in', ids).execute()
  return new Set(rows.map(({ state }) => state))
}

test('half of 100 nodes silent at once: an alarm, nothing is released, one at a time is replaced; when they are back, all is as it was', async () => {
  const ids = (await deps.db.selectFrom('nodes').select('id').execute()).map(({ id }) => id)
  const [reached, cutOff] = [ids.slice(0, fleet / 2), ids.slice(fleet / 2)]
  for (let i = 0; i < 3; i++) {
    await speak(ids, [])
    await passAll()
    world.deps.clock.pass(stepMs)
  }
  assert.deepEqual([await guard(), await asked(), cloud.made.size], [null, [], fleet])

  for (let i = 0; i < 18; i++) {
    await speak(reached, cutOff)
    await passAll()
    world.deps.clock.pass(stepMs)
    assert.ok((await asked()).length <= 1)
    assert.ok(cloud.made.size <= fleet + 1)
  }
  assert.match((await guard()) ?? '', /50 of 100 nodes are suspect: it may be us/)
  assert.equal((await asked()).length, 1)
  assert.equal(cloud.made.size, fleet + 1)
  assert.deepEqual([await states(ids), cloud.calls.ensureGone], [new Set(['ready']), 0])

  for (let i = 0; i < 6; i++) {
    await speak(ids, [])
    await passAll()
    world.deps.clock.pass(stepMs)
  }
  assert.deepEqual([await guard(), await asked(), await states(ids)], [null, [], new Set(['ready'])])
})
