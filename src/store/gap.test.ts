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
  await db
    .updateTable('nodes')
    .set({ created_at: wrong, state_since: wrong, asked_at: wrong, well_since: wrong, hold_until: wrong })
    .execute()
  await db.updateTable('launches').set({ state_since: wrong }).execute()
  await db.updateTable('deployments').set({ last_failure_at: wrong }).execute()
  const hold = { holder: 'died', realms: [], acts: true }
  await enrol(db, 'offers', 'held', clock.now())
  await claimDue(db, 'offers', 1, clock.now() + hourMs, 20_000, hold)

  const now = clock.now()
  await resumeAfterGap(db, now)
  assert.equal(await dueAt(store, 'health'), now)
  const signals = await db.selectFrom('signals').select(['heard_at', 'probe_at']).executeTakeFirstOrThrow()
  assert.deepEqual(signals, { heard_at: now, probe_at: now })
  const sighting = await db.selectFrom('sightings').select(['at', 'absent_since']).executeTakeFirstOrThrow()
  assert.deepEqual(sighting, { at: now, absent_since: now })
  const node = await db
    .selectFrom('nodes')
    .select(['verdict_since', 'created_at', 'state_since', 'asked_at', 'well_since', 'accused_at', 'hold_until'])
    .executeTakeFirstOrThrow()
  const past = { verdict_since: now, created_at: now, state_since: now, asked_at: now, well_since: now }
  assert.deepEqual(node, { ...past, accused_at: null, hold_until: now + hourMs })
  const launch = await db.selectFrom('launches').select('state_since').executeTakeFirstOrThrow()
  const deployment = await db.selectFrom('deployments').select('last_failure_at').executeTakeFirstOrThrow()
  assert.deepEqual([launch.state_since, deployment.last_failure_at], [now, now])
  const claimed = await claimDue(db, 'offers', 1, now, 20_000, { ...hold, holder: 'lives' })
  assert.deepEqual(
    claimed.map(({ rowId }) => rowId),
    ['held'],
  )
})

test('a clock that is set ahead makes no word older and takes nobody`s time, once, however many control planes saw it', async () => {
  const { store, clock } = world.deps
  const { db } = store
  const saidAt = clock.now()
  const { nodeId, launchId } = await addNode(world, { state: 'draining' })
  const { name } = await db.selectFrom('nodes').select('name').executeTakeFirstOrThrow()
  await db
    .updateTable('signals')
    .set({ heard_at: at(saidAt) })
    .execute()
  await db
    .insertInto('sightings')
    .values({ name, cloud: 'local', seen: 'present', at: at(saidAt) })
    .execute()
  const notice = { source: 'aws', kind: 'reclaim', action: 'terminate', toldAt: saidAt, takenAt: saidAt + 120_000 }
  await db
    .updateTable('nodes')
    .set({ verdict_since: at(saidAt), drain_deadline_at: at(saidAt + 60_000), notice: JSON.stringify(notice) })
    .execute()
  const limits = () =>
    db
      .selectFrom('nodes as n')
      .innerJoin('launches as l', 'l.id', 'n.launch_id')
      .select(['l.deadline_at', 'n.join_token_until', 'n.drain_deadline_at', 'n.verdict_since', 'n.hold_until'])
      .select(['n.notice', 'n.well_since'])
      .where('n.id', '=', nodeId)
      .executeTakeFirstOrThrow()
  await db.updateTable('launches').set({ state: 'attempting' }).where('id', '=', launchId).execute()
  const before = await limits()

  clock.pass(hourMs + 3_000)
  await Promise.all([resumeAfterGap(db, clock.now(), hourMs), resumeAfterGap(db, clock.now() + 800, hourMs)])
  const after = await limits()
  assert.deepEqual(after, {
    deadline_at: before.deadline_at + hourMs,
    join_token_until: before.join_token_until + hourMs,
    drain_deadline_at: saidAt + 60_000 + hourMs,
    verdict_since: saidAt + hourMs,
    hold_until: null,
    notice: { ...notice, toldAt: saidAt + hourMs, takenAt: saidAt + 120_000 + hourMs },
    well_since: null,
  })
  const signals = await db.selectFrom('signals').select(['heard_at', 'probe_at']).executeTakeFirstOrThrow()
  assert.deepEqual(signals, { heard_at: saidAt + hourMs, probe_at: null })
  const sighting = await db.selectFrom('sightings').select(['at', 'absent_since']).executeTakeFirstOrThrow()
  assert.deepEqual(sighting, { at: saidAt + hourMs, absent_since: null })
  const told = await db.selectFrom('events').select('text').where('kind', '=', 'clock.ahead').execute()
  assert.deepEqual(
    told.map(({ text }) => text),
    ["The clock was set ahead by 3600 s: nobody's time runs out by that."],
  )
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
  const gateway = {
    url: 'http://gateway',
    fingerprint: null,
    startedAt: clock.now(),
    tableVersion: null,
    openRequests: {},
  }
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
