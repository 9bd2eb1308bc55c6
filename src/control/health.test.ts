import assert from 'node:assert/strict'
import { afterAll, beforeAll, test } from 'vitest'
import { makeLog } from '../lib/log.ts'
import { SimCloud } from '../sim/cloud.ts'
import { claimDue, enrol, finishClaim } from '../store/claims.ts'
import { at } from '../store/database.ts'
import { saveLook } from '../store/sightings.ts'
import { addNode, type TestWorld, testWorld } from '../store/world-for-tests.ts'
import { Continuity } from './continuity.ts'
import { healthLoop } from './health.ts'

let world: TestWorld
beforeAll(async () => {
  world = await testWorld()
})
afterAll(() => world.drop())

/** Lets the health loop pass once, and tells whether the node's cloud was to be looked at sooner because of it. */
async function passAsksFor(cloud: string): Promise<boolean> {
  const { store, clock, settings, vault } = world.deps
  const { db, fleetSize } = store
  const shared = { db, fleetSize, clock, settings, vault, install: world.install, clouds: new Map() }
  const loop = healthLoop({ ...shared, log: makeLog('test', 'silent'), continuity: new Continuity(0) })
  const later = clock.now() + 30_000
  await db
    .updateTable('claims')
    .set({ due_at: at(later) })
    .where('loop', '=', 'sight')
    .execute()
  const who = { holder: 'server-1', realms: [cloud], acts: true }
  const [claim] = await claimDue(db, 'health', 1, clock.now(), 20_000, who)
  assert.ok(claim)
  await loop.pass(claim)
  await finishClaim(db, claim, clock.now())
  const sight = await db.selectFrom('claims').select('due_at').where('loop', '=', 'sight').executeTakeFirstOrThrow()
  return sight.due_at < later
}

test('a node that turns silent has its cloud looked at in the next pass, once, and not while it speaks', async () => {
  const { store, clock } = world.deps
  const { db } = store
  const { traits } = new SimCloud({ clock })
  const { nodeId } = await addNode(world, { state: 'ready' })
  await enrol(db, 'health', 'health', clock.now())
  await enrol(db, 'sight', 'local', clock.now(), 'local')
  const heard = () =>
    db
      .updateTable('signals')
      .set({ heard_at: at(clock.now()) })
      .where('node_id', '=', nodeId)
      .execute()
  const { name } = await db.selectFrom('nodes').select('name').executeTakeFirstOrThrow()
  const looked = () => saveLook(db, { cloud: 'local', startedAt: clock.now(), listed: [{ name }] }, traits, clock.now())
  await heard()
  await looked()
  clock.pass(20_000)
  assert.equal(await passAsksFor('local'), false, 'it has missed one heartbeat')
  clock.pass(5_000)
  assert.equal(await passAsksFor('local'), true)
  await looked()
  clock.pass(5_000)
  assert.equal(await passAsksFor('local'), false, 'the cloud was looked at since')
  await heard()
  clock.pass(10_000)
  assert.equal(await passAsksFor('local'), false, 'it speaks again')
})

test('a machine that died while its agent started the engine anew is replaced as soon as any, and not after ten minutes', async () => {
  const { store, clock } = world.deps
  const { db } = store
  const { nodeId } = await addNode(world, { state: 'ready', deployment: 'died' })
  const replaceAskedAt = async () => {
    const row = await db.selectFrom('nodes').select('replace_asked_at').where('id', '=', nodeId).executeTakeFirst()
    return row?.replace_asked_at
  }
  await db
    .updateTable('nodes')
    .set({ ready_at: at(clock.now()) })
    .where('id', '=', nodeId)
    .execute()
  const heartbeat = JSON.stringify({ engine: { state: 'starting', failure: null } })
  const told = { heard_at: at(clock.now()), heartbeat, probe_at: at(clock.now()), probe_good: false }
  await db
    .insertInto('signals')
    .values({ node_id: nodeId, ...told })
    .onConflict((oc) => oc.column('node_id').doUpdateSet(told))
    .execute()
  await passAsksFor('local')
  clock.pass(20_000)
  await passAsksFor('local')
  assert.equal(await replaceAskedAt(), null, 'its agent is at work')
  clock.pass(31_000)
  await passAsksFor('local')
  assert.notEqual(await replaceAskedAt(), null)
})
