import assert from 'node:assert/strict'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { World, type WorldOptions, worldSettings } from '../../test/control-world.ts'
import type { CrashPlan } from '../../test/crashes.ts'
import { type TestWorld, testWorld } from '../store/world-for-tests.ts'

/** From the first pass to one after it got live: later withdrawals are like this last one. */
const passesToLive = 8

// A database for each lane: worlds of one lane follow one another, lanes run side by side.
let lanes: TestWorld[]
beforeAll(async () => {
  lanes = await Promise.all([testWorld(), testWorld(), testWorld()])
})
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.drop()))
})

async function inLanes<T>(work: readonly T[], run: (base: TestWorld, one: T) => Promise<void>): Promise<void> {
  const waiting = [...work]
  const lane = async (base: TestWorld) => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await run(base, one)
  }
  await Promise.all(lanes.map(lane))
}

/** One whole life: passes, then a withdrawal, then whatever it takes. Returns the world as it ended. */
async function life(base: TestWorld, withdrawAfter: number, options: WorldOptions): Promise<World> {
  const world = await World.begin(base, options)
  await world.passes(withdrawAfter)
  await world.withdraw()
  await world.untilOver()
  return world
}

/** Lives through the same story once for each effect in it, dying there. */
async function sweep(base: TestWorld, withdrawAfter: number, when: CrashPlan['when'], options: WorldOptions = {}) {
  for (let at = 1, reached = true; reached; at++) {
    const world = await life(base, withdrawAfter, { ...options, crash: { at, when } })
    const where = `withdrawn after ${withdrawAfter} passes, died ${world.crashes.whereFired}`
    assert.deepEqual(await world.faults(), [], where)
    assert.equal(await world.state(), 'cancelled', where)
    reached = world.crashes.reached(at)
    lives += 1
  }
}
let lives = 0

describe('wherever the control plane dies and whenever a launch is withdrawn', () => {
  test('nothing is left running and every second is billed once: dying before each effect', {
    timeout: 300_000,
    retry: 0,
  }, async () => {
    await inLanes([0, 1, 2, 3, 4, 5, passesToLive], (base, withdrawAfter) => sweep(base, withdrawAfter, 'before'))
    assert.ok(lives > 200, `only ${lives} lives`)
  })

  test('the same where the cloud lists late: dying before each effect', { timeout: 300_000, retry: 0 }, async () => {
    const lists = { faults: { listingLagMs: 290 } }
    await inLanes([0, 3, passesToLive], (base, withdrawAfter) => sweep(base, withdrawAfter, 'before', lists))
  })

  test('the same, dying after each effect of one story, also where the cloud lists late', {
    timeout: 300_000,
    retry: 0,
  }, async () => {
    // Dying after one effect is dying before the next but for time that passes, so one story is enough here.
    await inLanes([0, 290], (base, listingLagMs) => sweep(base, 2, 'after', { faults: { listingLagMs } }))
  })

  test('the same, dying anywhere in a cloud with any faults', { timeout: 120_000, retry: 0 }, async () => {
    const stories = fc.record({
      withdrawAfter: fc.integer({ min: 0, max: 12 }),
      crash: fc.record({ at: fc.integer({ min: 1, max: 60 }), when: fc.constantFrom('before', 'after') }),
      faults: fc.record({
        listingLagMs: fc.constantFrom(0, 100, 290),
        loseAnswers: fc.integer({ min: 0, max: 2 }),
        failAsks: fc.integer({ min: 0, max: 2 }),
        failLooks: fc.integer({ min: 0, max: 4 }),
        endAsks: fc.integer({ min: 1, max: 4 }),
        neverBoots: fc.boolean(),
      }),
    })
    const [base] = lanes
    assert.ok(base)
    const seed = Number(process.env.FLIGHTDECK_TEST_SEED ?? Date.now() % 1_000_000)
    console.info(`random crashes with seed ${seed}`)
    const property = fc.asyncProperty(stories, async ({ withdrawAfter, ...options }) => {
      const world = await life(base, withdrawAfter, options)
      assert.deepEqual(await world.faults(), [])
    })
    await fc.assert(property, { seed, numRuns: 30, endOnFailure: true })
  })
})

describe('whatever the cloud does', () => {
  const lateListings = [0, 290].flatMap((listingLagMs) =>
    [0, 1].flatMap((loseAnswers) =>
      [0, 1].flatMap((failAsks) =>
        [0, 3].flatMap((failLooks) =>
          [1, 3].map((endAsks) => ({ listingLagMs, loseAnswers, failAsks, failLooks, endAsks })),
        ),
      ),
    ),
  )

  test('a launch gets live and ends clean, for late listings with each combination of faults', {
    timeout: 120_000,
  }, async () => {
    await inLanes(lateListings, async (base, faults) => {
      const world = await World.begin(base, { faults })
      assert.equal(await world.until((state) => state === 'live'), 'live', JSON.stringify(faults))
      await world.withdraw()
      await world.untilOver()
      assert.deepEqual(await world.faults(), [], JSON.stringify(faults))
    })
  })

  test('a place that refuses is left for the next offer, and the refusal is kept', async () => {
    const world = await begin({ faults: { refuse: { code: 'no_capacity', times: 1 } } })
    assert.equal(await world.until((state) => state === 'live'), 'live')
    const nodes = await world.nodes()
    assert.deepEqual(
      nodes.map(({ state, failure }) => [state, failure]),
      [
        ['gone', 'no_capacity'],
        ['ready', null],
      ],
    )
  })

  test('machines whose agents never join are given back one by one, until nothing is left to try', async () => {
    const world = await begin({ faults: { neverBoots: true }, settings: { retry: oneRound } })
    assert.equal(await world.untilOver(), 'failed')
    assert.deepEqual(await world.faults(), [])
    const nodes = await world.nodes()
    assert.deepEqual(
      nodes.map(({ failure }) => failure),
      ['never_joined', 'never_joined'],
    )
  })

  test('a machine that never shows up is waited for as long as the cloud may take, and costs nothing', async () => {
    const world = await begin({ faults: { listingLagMs: 10_000_000, neverBoots: true }, settings: { retry: oneRound } })
    await world.untilOver()
    const nodes = await world.nodes()
    assert.ok(nodes.every(({ failure, firstSeenAt }) => failure === 'boot_timeout' && firstSeenAt === null))
  })

  test('a machine that vanishes while it serves ends its launch, and its bill with it', async () => {
    const world = await begin()
    await world.until((state) => state === 'live')
    for (const name of world.cloud.machines.keys()) world.cloud.vanish(name)
    assert.equal(await world.untilOver(), 'ended')
    assert.deepEqual(await world.faults(), [])
    assert.equal((await world.nodes())[0]?.failure, 'node_vanished')
  })

  test('a machine that shows up after it was called gone is ended again, and its bill goes on', async () => {
    const world = await begin()
    await world.until((state) => state === 'live')
    await world.withdraw()
    await world.untilOver()
    const [node] = await world.nodes()
    assert.ok(node?.goneAt)
    world.cloud.showUp(node.name)
    await world.untilQuiet()
    assert.deepEqual(await world.faults(), [])
    assert.ok(((await world.nodes())[0]?.goneAt ?? 0) > node.goneAt)
  })

  test('a machine that is listed only long after it was given up is ended as well', async () => {
    const world = await begin({ faults: { listingLagMs: 20_000, neverBoots: true } })
    await world.passes(2)
    await world.withdraw()
    await world.untilOver()
    assert.equal(world.cloud.machines.size, 1)
    await world.untilQuiet()
    assert.equal(world.cloud.machines.size, 0)
  })
})

describe('two control planes on one database', () => {
  test('never do the same twice and end clean, wherever the launch is withdrawn', {
    timeout: 60_000,
    retry: 0,
  }, async () => {
    await inLanes([0, 1, 2, 3, 4, 5, 6, 8], async (base, withdrawAfter) => {
      const world = await World.begin(base)
      let both = [world.process(), world.process()]
      for (let i = 0; i < withdrawAfter; i++) both = await world.turnOfAll(both)
      await world.withdraw()
      for (let i = 0; i < 200 && (await world.state()) !== 'cancelled'; i++) both = await world.turnOfAll(both)
      assert.deepEqual(await world.faults(), [], `withdrawn after ${withdrawAfter} passes`)
    })
  })

  test('one that stood still while its claim ran out writes nothing, at whatever point it stood', {
    timeout: 120_000,
    retry: 0,
  }, async () => {
    const points = Array.from({ length: 40 }, (_, i) => i + 1)
    await inLanes(points, standStill)
  })
})

/** One process stops after an effect; another takes over and finishes; then the first goes on as if nothing were. */
async function standStill(base: TestWorld, at: number): Promise<void> {
  const stands = Promise.withResolvers<'stands'>()
  const goOn = Promise.withResolvers<void>()
  const pause = () => {
    stands.resolve('stands')
    return goOn.promise
  }
  const world = await World.begin(base, { crash: { at, when: 'after', pause } })
  const sleeper = world.process()
  let turn = Promise.resolve(true)
  for (let standing = false; !standing; ) {
    await world.agents.speak()
    turn = sleeper.turn()
    standing = (await Promise.race([turn, stands.promise])) === 'stands'
    await world.letTimePass()
    // Later points than this story has: then there is nothing to see.
    if (!standing && (await world.state()) === 'live') return
  }
  const other = world.process(null)
  const live = async () => (await world.state()) === 'live'
  for (let i = 0; i < 200 && !(await live()); i++) await world.turn(other)
  const before = await world.written()
  goOn.resolve()
  await turn
  const where = `stood still ${world.crashes.whereFired}`
  assert.equal(await world.written(), before, where)
  await world.withdraw()
  await world.untilQuiet()
  assert.deepEqual(await world.faults(), [], where)
}

const oneRound = { ...worldSettings.retry, rounds: 1 }

function begin(options: WorldOptions = {}): Promise<World> {
  const [base] = lanes
  if (!base) throw new Error('there is no database yet')
  return World.begin(base, options)
}
