import { afterAll, beforeAll, expect, test } from 'vitest'
import { correctLedger, ledgerFaults, settleLedger } from './ledger.ts'
import { readIntervals } from './read-nodes.ts'
import { readSpend } from './read-spend.ts'
import { addNode, setNodeState, type TestWorld, testWorld } from './world-for-tests.ts'

let world: TestWorld
beforeAll(async () => {
  world = await testWorld()
})
afterAll(() => world.drop())

test('what is taken back is rows of its own, each duty once, and comes back when the machine was not gone', async () => {
  const { store, clock } = world.deps
  const { db } = store
  const { nodeId } = await addNode(world, { state: 'loading' })
  const begunAt = clock.now()
  for (const state of ['loading', 'ready', 'gone'] as const) {
    const id = nodeId
    await db.transaction().execute((tx) => settleLedger(tx, { id, state, firstSeenAt: begunAt }, clock.now()))
    await setNodeState(store, nodeId, state)
    clock.pass(600_000)
  }
  const correct = (of: 'usage' | 'correction') =>
    db.transaction().execute((tx) => correctLedger(tx, nodeId, { of, note: 'free' }, clock.now()))
  const total = async () => {
    const rows = await readSpend(db, world.actor.tenantId, begunAt, clock.now() + 1, clock.now())
    return rows.reduce((sum, { totalMicroUsd }) => sum + totalMicroUsd, 0)
  }
  const usage = await readIntervals(db, nodeId)
  const paid = usage.reduce((sum, { amountMicroUsd }) => sum + (amountMicroUsd ?? 0), 0)
  expect([usage.map(({ duty }) => duty), await total()]).toEqual([['starting', 'serving'], paid])
  expect(paid).toBeGreaterThan(0)

  expect(await correct('usage')).toBe(-paid)
  const all = await readIntervals(db, nodeId)
  expect([all.slice(0, usage.length), all.length, await total()]).toEqual([usage, 4, 0])
  expect(await correct('correction')).toBe(paid)
  expect([await total(), await ledgerFaults(db)]).toEqual([paid, []])
  expect(await correct('correction')).toBe(0)
}, 60_000)
