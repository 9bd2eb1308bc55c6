import { afterAll, beforeAll, expect, test } from 'vitest'
import { failureRecord } from '../core/failure.ts'
import { at, maybeJson } from './database.ts'
import { settleCounters } from './launch-counters.ts'
import { addNode, type TestWorld, testWorld } from './world-for-tests.ts'

const minute = 60_000
const exited = failureRecord('engine_exited', 'It exited.')
const reclaimed = failureRecord('reclaimed', 'It was taken back.')

let world: TestWorld
beforeAll(async () => {
  world = await testWorld()
})
afterAll(() => world.drop())

/** A launch that got ready, and what its deployment counts once it lost its node. */
async function lost(deployment: string, { livedMs = minute, failure = exited } = {}): Promise<number> {
  const { db } = world.deps.store
  const now = world.deps.clock.now()
  const { launchId: id, deploymentId } = await addNode(world, { deployment })
  const settle = (state: 'live' | 'ending') =>
    db.transaction().execute(async (tx) => {
      const outcome = state === 'live' ? null : ('ended' as const)
      const row = { state, outcome, failure: maybeJson(state === 'live' ? null : failure), live_at: at(now - livedMs) }
      await tx
        .updateTable('launches')
        .set({ ...row, holds_slot: state === 'live' })
        .where('id', '=', id)
        .execute()
      const launch = { id, deploymentId, origin: 'deployment', wasLive: state !== 'live' }
      await settleCounters(tx, launch, { state, outcome, failure }, now)
    })
  await settle('live')
  await settle('ending')
  const { failures_in_a_row: count } = await db
    .selectFrom('deployments')
    .select('failures_in_a_row')
    .where('id', '=', deploymentId)
    .executeTakeFirstOrThrow()
  return count
}

test('engines that get ready and crash soon are counted in a row, though each of them got ready', async () => {
  expect([await lost('loops'), await lost('loops'), await lost('loops')]).toEqual([1, 2, 3])
})

test('nothing is counted where a cloud takes a machine, or where it had served for long', async () => {
  expect(await lost('taken', { failure: reclaimed })).toBe(0)
  expect(await lost('served', { livedMs: 11 * minute })).toBe(0)
  // The model is well, as that one showed within the hour.
  expect(await lost('served')).toBe(0)
})

test('an hour later those are forgotten', async () => {
  expect([await lost('slow'), await lost('slow')]).toEqual([1, 2])
  world.deps.clock.pass(61 * minute)
  expect(await lost('slow')).toBe(1)
})
