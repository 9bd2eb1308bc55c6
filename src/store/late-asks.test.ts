import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'vitest'
import { type CloudTraits, decideNode } from '../core/decide-node.ts'
import { failureRecord } from '../core/failure.ts'
import type { NodeState } from '../core/node-table.ts'
import { at } from './database.ts'
import type { AskSeen } from './late-asks.ts'
import { loadNode } from './nodes.ts'
import { saveLook } from './sightings.ts'
import { addNode, cheapOffer, type TestWorld, testWorld } from './world-for-tests.ts'

const listening = { watchedSince: 0, silentAfterMs: 0 }

const traits: CloudTraits = {
  confirmGoneMs: 300,
  listingLagMs: 0,
  askLimitMs: 0,
  requestLimitMs: 1e9,
  bootLimitMs: 1e9,
  loadLimitMs: 1e9,
  drainLimitMs: 1e9,
  lookMs: 10_000,
  lookFastMs: 250,
}
const noRoom = failureRecord('no_capacity', 'There is no room.')

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

const now = () => world.deps.clock.now()

async function started(state: NodeState) {
  const { db } = world.deps.store
  const { nodeId } = await addNode(world, { state })
  await db
    .updateTable('nodes')
    .set({ asked_at: at(now()) })
    .where('id', '=', nodeId)
    .execute()
  const load = async () => {
    const node = await loadNode(db, nodeId, listening)
    assert.ok(node)
    return node
  }
  const { name } = await load()
  async function look(ask: AskSeen | null): Promise<void> {
    world.deps.clock.pass(1_000)
    const listed = ask ? [{ name, ask }] : []
    await saveLook(db, { cloud: cheapOffer.cloud, startedAt: now(), listed }, traits, now())
  }
  const decide = async () => decideNode((await load()).view, traits, now())
  const told = async () =>
    (await db.selectFrom('events').select(['kind', 'text']).where('node_id', '=', nodeId).orderBy('id').execute()).map(
      ({ kind, text }) => `${kind}: ${text}`,
    )
  return { look, load, decide, told }
}

test('an ask that the cloud still works on is no sight of a machine, so nobody pays for it', async () => {
  const node = await started('requesting')
  await node.look({ open: true, machine: false, refusal: null })
  assert.equal((await node.load()).view.sighting?.seen, 'asked')
  assert.equal((await node.decide()).state, 'requesting')
  await node.look({ open: true, machine: true, refusal: null })
  assert.equal((await node.decide()).fact, 'sighted')
})

test('while an ask is open its machine has not vanished, however long it is not there', async () => {
  const node = await started('releasing')
  for (let i = 0; i < 3; i++) await node.look({ open: true, machine: false, refusal: null })
  assert.equal((await node.decide()).fact, null)
  await node.look(null)
  assert.equal((await node.decide()).fact, null)
  await node.look(null)
  assert.equal((await node.decide()).fact, 'vanished')
})

test.each(['requesting', 'booting'] as const)('a node that is %s learns of a late refusal, and why', async (state) => {
  const node = await started(state)
  await node.look({ open: false, machine: false, refusal: noRoom })
  const decision = await node.decide()
  assert.deepEqual([decision.fact, decision.state, decision.failure], ['refused', 'releasing', noRoom])
  await node.look({ open: false, machine: false, refusal: noRoom })
  assert.deepEqual(await node.told(), ['node.refused: There is no room.'])
})

test('a node whose agent has joined is not ended by a late word about its ask', async () => {
  const node = await started('loading')
  await node.look({ open: false, machine: true, refusal: noRoom })
  assert.equal((await node.load()).view.refusal, null)
})
