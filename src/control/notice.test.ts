import assert from 'node:assert/strict'
import { afterAll, beforeAll, test } from 'vitest'
import { World } from '../../test/control-world.ts'
import type { Announcement } from '../core/notice.ts'
import { type TestWorld, testWorld } from '../store/world-for-tests.ts'

let base: TestWorld
beforeAll(async () => {
  base = await testWorld()
})
afterAll(() => base.drop())

const notice: Announcement = { source: 'gcp', kind: 'reclaim', action: 'preempted', leftMs: 30_000 }

// Dying before each effect is what the crash sweep does with a whole life; here every third one has to do.
const stride = 3

/** Lives through the same story again and again, from a node that serves, and dies at another effect each time. */
async function sweep(story: (world: World) => Promise<'ended' | 'cancelled'>): Promise<number> {
  let lives = 0
  for (let at = 1, reached = true; reached; at += stride) {
    const world = await World.begin(base, { crash: { at, when: 'before' } })
    await world.until((state) => state === 'live', world.process(null))
    const outcome = await story(world)
    const where = `died ${world.crashes.whereFired}`
    assert.deepEqual(await world.faults(), [], where)
    assert.equal(await world.state(), outcome, where)
    reached = world.crashes.reached(at)
    lives += 1
  }
  return lives
}

test('a reclaimed node ends clean and is billed until it is gone, wherever the control plane dies', async () => {
  const lives = await sweep(async (world) => {
    world.agents.notice = notice
    await world.untilOver()
    assert.equal((await world.nodes())[0]?.failure, 'reclaimed')
    return 'ended'
  })
  assert.ok(lives > 5, `only ${lives} lives`)
}, 180_000)

test('a node whose notice is withdrawn before its end was decided serves on, wherever the control plane dies', async () => {
  let served = 0
  await sweep(async (world) => {
    world.agents.notice = notice
    await world.passes(1)
    world.agents.notice = null
    await world.passes(4)
    const [node] = await world.nodes()
    served += Number(node?.state === 'ready')
    // It was drained at once: where the end was decided before, the launch is ending by itself.
    const lost = (await world.state()) !== 'live'
    await world.withdraw()
    await world.untilOver()
    return lost ? 'ended' : 'cancelled'
  })
  assert.ok(served > 0, 'no node came back')
}, 180_000)
