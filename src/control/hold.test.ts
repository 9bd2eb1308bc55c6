import assert from 'node:assert/strict'
import { afterAll, beforeAll, test } from 'vitest'
import { World } from '../../test/control-world.ts'
import { holdNode, releaseNode } from '../commands/nodes.ts'
import { failureRecord } from '../core/failure.ts'
import type { Announcement } from '../core/notice.ts'
import { type TestWorld, testWorld } from '../store/world-for-tests.ts'

let base: TestWorld
beforeAll(async () => {
  base = await testWorld()
})
afterAll(() => base.drop())

// Dying before each effect is what the crash sweep does with a whole life; here every third one has to do.
const stride = 3
const holdS = 30

const notice: Announcement = { source: 'gcp', kind: 'reclaim', action: 'preempted', leftMs: 30_000 }

const nodeOf = async (world: World, ordinal = 0) => {
  const node = (await world.nodes())[ordinal]
  assert.ok(node)
  return node
}
const hold = async (world: World) => holdNode(base.deps, base.actor, (await nodeOf(world)).id, holdS)
const untilNode = (world: World, state: string) => world.until(async () => (await world.nodes())[0]?.state === state)

/** Lives through the same story again and again, and dies at another effect each time. */
async function sweep(story: (world: World) => Promise<void>): Promise<number> {
  let lives = 0
  for (let at = 1, reached = true; reached; at += stride) {
    const world = await World.begin(base, { crash: { at, when: 'before' } })
    await story(world)
    assert.deepEqual(await world.faults(), [], `died ${world.crashes.whereFired}`)
    reached = world.crashes.reached(at)
    lives += 1
  }
  return lives
}

test('a node that is held outlives its end, is billed as such, and is released when its time is over, wherever the control plane dies', async () => {
  const lives = await sweep(async (world) => {
    await world.until((state) => state === 'live', world.process(null))
    await hold(world)
    const until = base.deps.clock.now() + holdS * 1_000
    world.agents.notice = notice
    await untilNode(world, 'held')
    assert.equal(world.cloud.machines.size, 1)
    assert.equal(await world.untilOver(), 'ended')
    const { id, goneAt } = await nodeOf(world)
    assert.ok(goneAt !== null && goneAt >= until, `gone ${until - (goneAt ?? 0)} ms before its time`)
    const lines = await base.deps.store.db.selectFrom('ledger').select('duty').where('node_id', '=', id).execute()
    assert.ok(lines.some(({ duty }) => duty === 'held'))
  })
  assert.ok(lives > 5, `only ${lives} lives`)
}, 180_000)

test('a launch tries on beside a machine that is held, and who releases that by hand has it back at once and nothing else', async () => {
  const world = await World.begin(base)
  world.agents.failure = failureRecord('engine_failed', 'A first one fails.')
  await untilNode(world, 'loading')
  await hold(world)
  await untilNode(world, 'held')
  world.agents.failure = null
  await world.until((state) => state === 'live')
  const [held, serves] = await world.nodes()
  assert.deepEqual([held?.state, held?.failure, serves?.state], ['held', 'engine_failed', 'ready'])
  const released = base.deps.clock.now()
  await releaseNode(base.deps, base.actor, held?.id ?? '')
  await untilNode(world, 'gone')
  assert.ok(base.deps.clock.now() - released < (holdS * 1_000) / 2)
  assert.deepEqual([await world.state(), (await nodeOf(world, 1)).state], ['live', 'ready'])
  await world.withdraw()
  assert.equal(await world.untilOver(), 'cancelled')
  // Two machines at a time were asked for here.
  assert.deepEqual(await world.ledgerFaults(), [])
  assert.equal(world.cloud.machines.size, 0)
}, 60_000)

test('who cancels the launch has every machine of it back at once, also the one that is held', async () => {
  const world = await World.begin(base)
  world.agents.failure = failureRecord('engine_failed', 'A first one fails.')
  await untilNode(world, 'loading')
  await hold(world)
  await untilNode(world, 'held')
  world.agents.failure = null
  await world.until((state) => state === 'live')
  const cancelled = base.deps.clock.now()
  await world.withdraw()
  assert.equal(await world.untilOver(), 'cancelled')
  assert.ok(base.deps.clock.now() - cancelled < (holdS * 1_000) / 2)
  assert.equal(world.cloud.machines.size, 0)
}, 60_000)
