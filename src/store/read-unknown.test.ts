import { afterAll, beforeAll, expect, test } from 'vitest'
import { failureRecord } from '../core/failure.ts'
import { at, json } from './database.ts'
import { readUnknownFailures } from './read-unknown.ts'
import { addNode, type TestWorld, testWorld } from './world-for-tests.ts'

let world: TestWorld
beforeAll(async () => {
  world = await testWorld()
})
afterAll(() => world.drop())

test('each text that no rule knows is told once, with how often and when it came; what is known is not', async () => {
  const { store, clock } = world.deps
  const odd = failureRecord('cloud_unknown', 'SkyPilot failed.', { evidence: 'OddError: the moon\nis wrong' })
  const known = failureRecord('no_capacity', 'Full.', { evidence: 'ResourcesUnavailableError: full' })
  const fails = async (failure: typeof odd) => {
    clock.pass(1_000)
    const { nodeId, launchId } = await addNode(world, {})
    const closed = { closed_at: at(clock.now()), outcome: 'failed' as const, failure: json(failure) }
    await store.db.updateTable('attempts').set(closed).where('node_id', '=', nodeId).execute()
    return { launchId, closedAt: clock.now() }
  }
  const first = await fails(odd)
  await fails(known)
  const last = await fails(odd)
  const { evidence } = odd
  const when = { firstAt: first.closedAt, lastAt: last.closedAt }
  expect(await readUnknownFailures(store.db, world.actor.tenantId)).toEqual([
    { cloud: 'local', evidence, times: 2, launchId: last.launchId, ...when },
  ])
  expect(await readUnknownFailures(store.db, 'te-other')).toEqual([])
})
