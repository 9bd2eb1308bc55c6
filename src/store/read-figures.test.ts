import { afterEach, beforeEach, expect, test } from 'vitest'
import type { GuardKind } from '../core/guard.ts'
import { at, type Db } from './database.ts'
import { saveGuard } from './guard.ts'
import { type Figures, readFigures } from './read-figures.ts'
import { readStatus } from './read-status.ts'
import { saveFailedLook } from './sightings.ts'
import { transact } from './transact.ts'
import { addNode, gpuOffer, type TestWorld, testWorld } from './world-for-tests.ts'

let world: TestWorld
let db: Db
beforeEach(async () => {
  world = await testWorld()
  db = world.deps.store.db
})
afterEach(() => world.drop())

const now = () => world.deps.clock.now()
const read = (): Promise<Figures> => readFigures(db, now() - 60_000)
const setNode = (id: string, row: object) => db.updateTable('nodes').set(row).where('id', '=', id).execute()
const setLaunch = (id: string, row: object) => db.updateTable('launches').set(row).where('id', '=', id).execute()

test('an install without nodes has no figures of any', async () => {
  const none = { launchesOver: [], states: [], notices: [], failed: [], deployments: [], clouds: [] }
  expect(await read()).toEqual({ ...none, noticesUnheard: 0, gpuFaults: 0, guardHolds: [] })
})

test('a replica serves while its node is ready and not accused, and is stood for while a launch holds its slot', async () => {
  const first = await addNode(world, { state: 'ready' })
  const second = await addNode(world, { state: 'ready' })
  await addNode(world, { state: 'loading', deployment: 'other' })
  const ofD = async () => (await read()).deployments.find(({ name }) => name === 'd')
  expect(await ofD()).toEqual({ name: 'd', wanted: 2, held: 2, serving: 2 })
  await setNode(first.nodeId, { verdict: 'suspect' })
  await setNode(second.nodeId, { verdict: 'degraded' })
  await setLaunch(first.launchId, { holds_slot: false })
  expect(await ofD()).toEqual({ name: 'd', wanted: 2, held: 1, serving: 1 })
  expect((await read()).deployments[1]).toEqual({ name: 'other', wanted: 1, held: 1, serving: 0 })
})

test('the status counts who is not gone by state, verdict and failure, with the requests that are in flight', async () => {
  const first = await addNode(world, { state: 'ready' })
  const second = await addNode(world, { state: 'ready', deployment: 'other' })
  const gone = await addNode(world, { state: 'gone', deployment: 'third' })
  for (const [{ nodeId }, inFlight] of [
    [first, 3],
    [gone, 5],
  ] as const)
    await db
      .insertInto('signals')
      .values({ node_id: nodeId, in_flight: inFlight })
      .onConflict((on) => on.column('node_id').doUpdateSet({ in_flight: inFlight }))
      .execute()
  await setNode(second.nodeId, { verdict: 'dead' })
  const { living } = await readStatus(db, 0)
  expect(living.toSorted((a, b) => b.inFlight - a.inFlight)).toEqual([
    { state: 'ready', verdict: 'unknown', hasFailed: false, count: 1, inFlight: 3 },
    { state: 'ready', verdict: 'dead', hasFailed: false, count: 1, inFlight: 0 },
  ])
})

test('each time that the guard holds for something else counts, and the last of them are shown with their ends', async () => {
  const { clock } = world.deps
  const says = (kind: GuardKind | null, reason = 'so') =>
    transact(db, (tx) => saveGuard(tx, kind && { kind, reason, until: null }, clock.now()))
  for (const kind of ['start', null, 'suspects', 'held_up', null, 'suspects'] as const) {
    await says(kind)
    clock.pass(1_000)
  }
  await says('suspects', 'one more')
  const byName = (await read()).guardHolds.toSorted((a, b) => a.guard.localeCompare(b.guard))
  expect(byName).toEqual([
    { guard: 'held_up', count: 1 },
    { guard: 'start', count: 1 },
    { guard: 'suspects', count: 2 },
  ])
  const { guard, guardHolds } = await readStatus(db, 0)
  expect(guard).toBe('one more')
  const from = clock.now() - 6_000
  expect(guardHolds.map((hold) => [hold.guard, hold.since - from, hold.until && hold.until - from])).toEqual([
    ['suspects', 5_000, null],
    ['held_up', 3_000, 4_000],
    ['suspects', 2_000, 3_000],
    ['start', 0, 1_000],
  ])
})

test('of a state the longest stay counts, of what is over nothing but how it ended', async () => {
  const first = await addNode(world, { state: 'releasing' })
  const second = await addNode(world, { state: 'releasing' })
  const third = await addNode(world, { state: 'gone' })
  await setNode(second.nodeId, { state_since: at(now() - 5_000) })
  await setLaunch(first.launchId, { state: 'ending' })
  await setLaunch(second.launchId, { state: 'failed', holds_slot: false })
  await setLaunch(third.launchId, { state: 'failed', holds_slot: false })
  const { states, launchesOver } = await read()
  expect(states).toEqual([{ state: 'releasing', since: now() - 5_000 }])
  expect(launchesOver).toEqual([{ outcome: 'failed', count: 2 }])
})

test('notices count by kind while they stand, and so do nodes that cannot ask for them', async () => {
  const [first, second, third] = [await addNode(world), await addNode(world), await addNode(world, { state: 'gone' })]
  const notice = (kind: string) => JSON.stringify({ source: 'aws', kind })
  await setNode(first.nodeId, { notice: notice('reclaim'), state: 'draining', notice_service_answers: true })
  await setNode(second.nodeId, { notice: notice('rebalance'), state: 'ready', notice_service_answers: false })
  await setNode(third.nodeId, { notice: notice('reclaim'), notice_service_answers: false })
  const { notices, noticesUnheard } = await read()
  expect(notices).toHaveLength(2)
  expect(notices).toEqual(
    expect.arrayContaining([
      { kind: 'reclaim', count: 1 },
      { kind: 'rebalance', count: 1 },
    ]),
  )
  expect(noticesUnheard).toBe(1)
})

test('nodes that failed count for ever, by what was wrong', async () => {
  const made = [await addNode(world), await addNode(world, { state: 'gone' }), await addNode(world, { state: 'gone' })]
  const codes = ['node_vanished', 'node_dead', 'node_vanished']
  for (const [i, { nodeId }] of made.entries()) await setNode(nodeId, { failure: JSON.stringify({ code: codes[i] }) })
  await addNode(world, { state: 'gone' })
  expect((await read()).failed).toEqual([
    { code: 'node_dead', count: 1 },
    { code: 'node_vanished', count: 2 },
  ])
})

test('faults of GPUs count for ever, also those of nodes that are gone', async () => {
  const [first, second] = [await addNode(world), await addNode(world, { state: 'gone' })]
  await setNode(first.nodeId, { gpu_faults: '[{},{}]' })
  await setNode(second.nodeId, { gpu_faults: '[{}]' })
  expect((await read()).gpuFaults).toBe(3)
})

test('a cloud was seen when it last answered; one that nobody asks any more counts while it has nodes', async () => {
  const look = (cloud: string, startedAt: number, finishedAt: number) =>
    db
      .insertInto('looks')
      .values({ cloud, started_at: at(startedAt), finished_at: at(finishedAt) })
      .execute()
  await look('local', now() - 2_000, now() - 1_000)
  await look('sky', now() - 900_000, now() - 900_000)
  await look('past', now() - 900_000, now() - 900_000)
  await addNode(world, { offer: gpuOffer })
  await saveFailedLook(db, 'local', 'no answer', now())
  await saveFailedLook(db, 'mute', 'no answer', now())
  expect((await read()).clouds).toEqual([
    { name: 'local', lookedAt: now() - 2_000 },
    { name: 'mute', lookedAt: null },
    { name: 'sky', lookedAt: now() - 900_000 },
  ])
})
