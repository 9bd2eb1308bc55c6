import assert from 'node:assert/strict'
import { afterAll, beforeAll, test } from 'vitest'
import { at } from './database.ts'
import { endPhases, enterPhase } from './phases.ts'
import { timeOfLaunch, timeOfNode } from './time-spent.ts'
import { transact } from './transact.ts'
import { addNode, type TestWorld, testWorld } from './world-for-tests.ts'

let world: TestWorld
beforeAll(async () => {
  world = await testWorld()
})
afterAll(() => world.drop())

test('the time of a node is counted from the begin of its limit; that of its launch from the queue on, over all phases', async () => {
  const { store, clock } = world.deps
  const { db } = store
  const begun = clock.now()
  const { nodeId, launchId } = await addNode(world, { state: 'loading' })
  for (const [phase, ms] of [
    ['requesting', 60_000],
    ['model_fetch', 90_000],
    ['engine_init', 30_000],
  ] as const) {
    await enterPhase(db, nodeId, phase, clock.now())
    clock.pass(ms)
  }
  const window = { from: begun + 80_000, limitMs: 100_000, now: clock.now() }
  const of = ({ phases }: Awaited<ReturnType<typeof timeOfNode>>) =>
    phases.map(({ phase, ms, isOpen }) => [phase, ms, isOpen])
  const atEnd = [
    ['model_fetch', 70_000, false],
    ['engine_init', 30_000, true],
  ]
  assert.deepEqual(of(await timeOfNode(db, nodeId, window)), atEnd)
  assert.deepEqual(of(await timeOfLaunch(db, launchId, { ...window, from: begun, waitsCount: true })), [
    ['queued', 0, false],
    ['requesting', 60_000, false],
    ['model_fetch', 90_000, false],
    ['engine_init', 30_000, true],
  ])
  await db
    .updateTable('nodes')
    .set({ queued_until: at(begun + 50_000) })
    .where('id', '=', nodeId)
    .execute()
  const apart = of(await timeOfLaunch(db, launchId, { ...window, from: begun, waitsCount: false }))
  assert.deepEqual(apart[0], ['requesting', 10_000, false], 'where waits do not count, they are not told of')
  await transact(db, (tx) => endPhases(tx, nodeId, clock.now()))
  assert.ok((await timeOfNode(db, nodeId, window)).phases.every(({ isOpen }) => !isOpen))
})
