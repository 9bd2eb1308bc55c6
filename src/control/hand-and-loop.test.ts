import assert from 'node:assert/strict'
import { afterAll, beforeAll, test } from 'vitest'
import { FleetWorld } from '../../test/fleet-world.ts'
import { type TestWorld, testWorld } from '../store/world-for-tests.ts'

let base: TestWorld
beforeAll(async () => {
  base = await testWorld()
})
afterAll(() => base.drop())

/** A launch by hand and a slot that the deployment loop fills, one asked for before the other. */
const orders = {
  'the loop first': [(world: FleetWorld) => world.deploy(1), (world: FleetWorld) => world.launch()],
  'the hand first': [(world: FleetWorld) => world.launch(), (world: FleetWorld) => world.scale(2)],
} as const

/** How the second one meets the loops of two control planes. True where A came to the effect. */
const meetings = {
  'while A stands after an effect and B goes on': (world: FleetWorld, at: number, ask: () => Promise<void>) =>
    world.standStill('A', at, async () => {
      await ask()
      await world.pass('B')
    }),
  'before A dies before an effect, beside B': async (world: FleetWorld, at: number, ask: () => Promise<void>) => {
    await ask()
    return (await Promise.all([world.pass('A', { at, when: 'before' }), world.pass('B')]))[0]
  },
  'at the moment in which A dies after an effect': async (world: FleetWorld, at: number, ask: () => Promise<void>) =>
    (await Promise.all([world.pass('A', { at, when: 'after' }, false), ask()]))[0],
} as const

// By then the first one has its machine.
const latest = 3
let lives = 0

test.each(
  (Object.keys(orders) as (keyof typeof orders)[]).flatMap((order) =>
    (Object.keys(meetings) as (keyof typeof meetings)[]).map((meeting) => [order, meeting] as const),
  ),
)('%s, the other one %s: two slots, one engine for each', { timeout: 300_000 }, async (order, meeting) => {
  const [first, second] = orders[order]
  for (let turns = 0; turns < latest; turns++) {
    for (let at = 1, reached = true; reached; at++) {
      lives += 1
      const world = await FleetWorld.begin(base, `met-${lives}`)
      const where = `${turns} turns later, effect ${at}`
      await first(world)
      for (let i = 0; i < turns; i++) await world.turnOf(['A', 'B'])
      reached = await meetings[meeting](world, at, () => second(world))
      assert.deepEqual(await world.faults(), [], where)
      assert.deepEqual(await world.settled(), [], where)
      assert.deepEqual([await world.wanted(), await world.faults()], [2, []], where)
      assert.equal(world.cloud.machines.size, 2, where)
    }
  }
})
