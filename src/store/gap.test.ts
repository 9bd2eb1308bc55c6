import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'vitest'
import { claimDue, enrol } from './claims.ts'
import { at } from './database.ts'
import { resumeAfterGap } from './gap.ts'
import { livingGateways, saveGateway } from './gateways.ts'
import { ledgerFaults, settleLedger } from './ledger.ts'
import { addNode, dueAt, type TestWorld, testWorld } from './world-for-tests.ts'

const hourMs = 3_600_000

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

test('after a clock was set back no row rests for that long, and no word of before counts as fresh for that long', async () => {
  const { store, clock } = world.deps
  const { db } = store
  await addNode(world, { state: 'ready' })
  const { name } = await db.selectFrom('nodes').select('name').executeTakeFirstOrThrow()
  const wrong = at(clock.now() + hourMs)
  await enrol(db, 'health', 'health', clock.now() + hourMs)
  await db.updateTable('signals').set({ heard_at: wrong, probe_at: wrong, probe_good: true }).execute()
  await db
    .insertInto('sightings')
    .values({ name, cloud: 'local', seen: 'absent', at: wrong, absent_since: wrong })
    .execute()
  await db.updateTable('nodes').set({ verdict: 'suspect', verdict_since: wrong }).execute()

  const now = clock.now()
  await resumeAfterGap(db, now)
  assert.equal(await dueAt(store, 'health'), now)
  const signals = await db.selectFrom('signals').select(['heard_at', 'probe_at']).executeTakeFirstOrThrow()
  assert.deepEqual(signals, { heard_at: now, probe_at: now })
  const sighting = await db.selectFrom('sightings').select(['at', 'absent_since']).executeTakeFirstOrThrow()
  assert.deepEqual(sighting, { at: now, absent_since: now })
  const node = await db.selectFrom('nodes').select('verdict_since').executeTakeFirstOrThrow()
  assert.equal(node.verdict_since, now)
})

test('what rests until it is nudged, and what somebody works on, is left alone', async () => {
  const { store, clock } = world.deps
  const { db } = store
  await enrol(db, 'node', 'held', clock.now())
  await enrol(db, 'node', 'over', clock.now() + 1)
  await db
    .updateTable('claims')
    .set({ due_at: new Date('2100-01-01') })
    .where('row_id', '=', 'over')
    .execute()
  const [claim] = await claimDue(db, 'node', 1, clock.now(), 20_000, { holder: 'here', realms: [], acts: true })
  assert.equal(claim?.rowId, 'held')
  await resumeAfterGap(db, clock.now())
  const { token } = await db.selectFrom('claims').select('token').where('row_id', '=', 'held').executeTakeFirstOrThrow()
  assert.equal(token, claim.token)
})

test('gateways that were there when a long silence began are dialled in it and after it; one that had left is not', async () => {
  const { store, clock } = world.deps
  const { db } = store
  const gateway = { url: 'http://gateway', fingerprint: null, startedAt: clock.now(), tableVersion: null }
  const reports = (id: string) => db.transaction().execute((tx) => saveGateway(tx, { ...gateway, id }, clock.now()))
  const living = async () => (await livingGateways(db)).map(({ id }) => id)
  await reports('left')
  clock.pass(120_000)
  await reports('one')
  clock.pass(10_000)
  await reports('two')

  clock.pass(300_000)
  assert.deepEqual(await living(), ['one', 'two'], 'it may be us who are cut off')
  await resumeAfterGap(db, clock.now())
  clock.pass(2_000)
  await reports('two')
  assert.deepEqual(await living(), ['one', 'two'], 'the other has yet to speak')
  clock.pass(61_000)
  await reports('two')
  assert.deepEqual(await living(), ['two'])
})

test('an interval that began before the clock was set back ends at its beginning: nothing negative, no gap', async () => {
  const { store, clock } = world.deps
  const { db } = store
  const { nodeId } = await addNode(world, { state: 'ready' })
  const firstSeenAt = clock.now()
  await db
    .updateTable('nodes')
    .set({ first_seen_at: at(firstSeenAt) })
    .execute()
  const settle = (state: 'ready' | 'draining' | 'releasing' | 'gone') =>
    db.transaction().execute((tx) => settleLedger(tx, { id: nodeId, state, firstSeenAt }, clock.now()))
  await settle('ready')
  clock.pass(60_000)
  await settle('draining')
  clock.pass(-hourMs)
  await settle('releasing')
  await settle('gone')
  await db.updateTable('nodes').set({ state: 'gone' }).execute()

  const lines = await db
    .selectFrom('ledger')
    .select(['opened_at', 'closed_at', 'amount_micro_usd'])
    .orderBy('id')
    .execute()
  assert.ok(lines.length >= 2)
  for (const { opened_at, closed_at, amount_micro_usd } of lines) {
    assert.ok((closed_at ?? 0) >= opened_at)
    assert.ok((amount_micro_usd ?? -1) >= 0)
  }
  assert.deepEqual(
    lines.slice(1).map(({ opened_at }) => opened_at),
    lines.slice(0, -1).map(({ closed_at }) => closed_at),
  )
  assert.deepEqual(await ledgerFaults(db), [])
})
