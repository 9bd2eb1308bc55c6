import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeFleetSize } from './fleet-size.ts'
import { addNode, type TestWorld, testWorld } from './world-for-tests.ts'

let world: TestWorld
beforeAll(async () => {
  world = await testWorld()
})
afterAll(() => world.drop())

test('the fleet is whoever speaks to us, counted once however many ask at once', async () => {
  for (const state of ['requesting', 'loading', 'ready', 'draining', 'releasing', 'gone'] as const)
    await addNode(world, { state })
  const { db, pool } = world.deps.store
  const fleetSize = makeFleetSize(db)
  const before = pool.statements()
  expect(await Promise.all([fleetSize(), fleetSize(), fleetSize()])).toEqual([3, 3, 3])
  expect([await fleetSize(), pool.statements() - before]).toEqual([3, 1])
})
