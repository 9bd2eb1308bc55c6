import assert from 'node:assert/strict'
import { afterAll, beforeAll, test } from 'vitest'
import { makeLog } from '../lib/log.ts'
import { SimCloud } from '../sim/cloud.ts'
import { claimDue, enrol, finishClaim } from '../store/claims.ts'
import { at } from '../store/database.ts'
import { readNode } from '../store/read-nodes.ts'
import { readStatus } from '../store/read-status.ts'
import { saveLook } from '../store/sightings.ts'
import { addNode, type TestWorld, testWorld } from '../store/world-for-tests.ts'
import { Continuity } from './continuity.ts'
import type { Loop } from './driver.ts'
import { healthLoop } from './health.ts'
import { nodeLoop } from './node.ts'

let world: TestWorld
beforeAll(async () => {
  world = await testWorld()
})
afterAll(() => world.drop())

/** One pass of the loop, of a server that has been watching for so long. */
async function healthPass(continuity = new Continuity(0)): Promise<void> {
  const { store, clock, settings, vault } = world.deps
  const { db, fleetSize } = store
  const shared = { db, fleetSize, clock, settings, vault, install: world.install, clouds: new Map() }
  const loop = healthLoop({ ...shared, log: makeLog('test', 'silent'), continuity })
  const who = { holder: 'server-1', realms: ['local'], acts: true }
  const [claim] = await claimDue(db, 'health', 1, clock.now(), 20_000, who)
  assert.ok(claim)
  await loop.pass(claim)
  await finishClaim(db, claim, clock.now())
}

/** Lets the health loop pass once, and tells whether clouds were to be looked at sooner because of it. */
async function passAsksForLook(): Promise<boolean> {
  const { store, clock } = world.deps
  const { db } = store
  const later = clock.now() + 30_000
  await db
    .updateTable('claims')
    .set({ due_at: at(later) })
    .where('loop', '=', 'sight')
    .execute()
  await healthPass()
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
  assert.equal(await passAsksForLook(), false, 'it has missed one heartbeat')
  clock.pass(5_000)
  assert.equal(await passAsksForLook(), true)
  await looked()
  clock.pass(5_000)
  assert.equal(await passAsksForLook(), false, 'the cloud was looked at since')
  await heard()
  clock.pass(10_000)
  assert.equal(await passAsksForLook(), false, 'it speaks again')
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
  await healthPass()
  clock.pass(20_000)
  await healthPass()
  assert.equal(await replaceAskedAt(), null, 'its agent is at work')
  clock.pass(31_000)
  await healthPass()
  assert.notEqual(await replaceAskedAt(), null)
})

/** A gateway has just found its engine ill, and its agent is silent. */
const isBad = (nodeId: string): Promise<void> => isProbed(nodeId, false)

async function isProbed(nodeId: string, good: boolean): Promise<void> {
  const { store, clock } = world.deps
  const told = { heard_at: null, probe_at: at(clock.now()), probe_good: good }
  await store.db
    .insertInto('signals')
    .values({ node_id: nodeId, ...told })
    .onConflict((oc) => oc.column('node_id').doUpdateSet(told))
    .execute()
}

test('a witness that says the same for ten minutes is kept as saying so since it began, also by the next server', async () => {
  const { store, clock } = world.deps
  const { db } = store
  const { nodeId } = await addNode(world, { state: 'ready', deployment: 'said' })
  await db
    .updateTable('nodes')
    .set({ ready_at: at(clock.now()) })
    .where('id', '=', nodeId)
    .execute()
  const began = clock.now()
  const probed = async (good: boolean) => {
    await isProbed(nodeId, good)
    await healthPass()
    const row = await readNode(db, world.actor.tenantId, nodeId)
    return row?.signalsSince?.probe
  }
  assert.equal(await probed(false), began)
  for (let pass = 0; pass < 20; pass++) {
    clock.pass(30_000)
    assert.equal(await probed(false), began)
  }
  clock.pass(30_000)
  assert.equal(await probed(true), began + 630_000)
})

test('a control plane that was too busy to hear anybody releases none that counts as dead before the grace is over, says so, and still has one replaced', async () => {
  const { store, clock, settings, vault } = world.deps
  const { db, fleetSize } = store
  const cloud = new SimCloud({ clock, name: 'local' })
  // Of those of before one is being replaced, and no second one would be.
  await db.updateTable('nodes').set({ state: 'gone' }).execute()
  const { nodeId } = await addNode(world, { state: 'ready', deployment: 'busy' })
  const row = () => db.selectFrom('nodes').selectAll().where('id', '=', nodeId).executeTakeFirstOrThrow()
  const since = at(clock.now() - 31 * 60_000)
  await db
    .updateTable('nodes')
    .set({ verdict: 'suspect', verdict_since: since, ready_at: since })
    .where('id', '=', nodeId)
    .execute()
  const continuity = new Continuity(0)
  const parts = { db, fleetSize, clock, settings, vault, install: world.install, log: makeLog('test', 'silent') }
  const deps = { ...parts, continuity, clouds: new Map([['local', cloud]]) }
  await enrol(db, 'node', nodeId, clock.now())
  const pass = async (loop: Loop) => {
    await isBad(nodeId)
    await db
      .updateTable('claims')
      .set({ due_at: at(clock.now()) })
      .where('loop', '=', loop.name)
      .execute()
    const who = { holder: 'server-1', realms: ['local'], acts: true }
    for (const claim of await claimDue(db, loop.name, 100, clock.now(), 20_000, who)) {
      if (claim.rowId === nodeId || loop.name === 'health') await loop.pass(claim)
      await finishClaim(db, claim, clock.now())
    }
  }
  continuity.tick(clock.now() - 10_000, 0)
  continuity.tick(clock.now(), 10_000)
  await pass(healthLoop(deps))
  await pass(nodeLoop(deps))
  const held = await row()
  assert.deepEqual([held.verdict, held.state], ['dead', 'ready'])
  assert.notEqual(held.replace_asked_at, null)
  const guards = async () => (await readStatus(db, 0)).guardHolds.map(({ guard, until }) => [guard, until])
  assert.deepEqual(await guards(), [['held_up', null]])
  await pass(healthLoop({ ...deps, continuity: new Continuity(0) }))
  await pass(healthLoop(deps))
  assert.deepEqual(await guards(), [['held_up', null]], 'another server, which heard everybody, does not lift it')
  clock.pass(settings.graceMs)
  await pass(healthLoop(deps))
  await pass(nodeLoop(deps))
  assert.deepEqual([(await row()).state], ['releasing'])
  assert.deepEqual(await guards(), [['held_up', clock.now()]])
})

test('a control plane that has just come up has one accused node replaced, once that one was accused for its time since then', async () => {
  const { store, clock } = world.deps
  const { db } = store
  await db.updateTable('nodes').set({ state: 'gone' }).execute()
  const pair = [await addNode(world, { state: 'ready' }), await addNode(world, { state: 'ready' })]
  const since = at(clock.now() - 60_000)
  await db.updateTable('nodes').set({ verdict: 'suspect', verdict_since: since, ready_at: since }).execute()
  const continuity = new Continuity(clock.now())
  const asked = async () => {
    for (const { nodeId } of pair) await isBad(nodeId)
    await healthPass(continuity)
    const nodes = await db.selectFrom('nodes').select('id').where('replace_asked_at', 'is not', null).execute()
    return nodes.filter(({ id }) => pair.some(({ nodeId }) => nodeId === id)).length
  }
  assert.equal(await asked(), 0)
  clock.pass(14_999)
  assert.equal(await asked(), 0)
  clock.pass(1)
  assert.equal(await asked(), 1)
  assert.deepEqual((await readStatus(db, 0)).guardHolds.map(({ guard }) => guard)[0], 'start')
  clock.pass(5_000)
  assert.equal(await asked(), 1, 'the other one waits for its turn')
})
