import assert from 'node:assert/strict'
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest'
import { type World, worldSettings } from '../../test/control-world.ts'
import type { CrashPlan } from '../../test/crashes.ts'
import { type SkyPilotOnTrial, skyWorld } from '../../test/sky-world.ts'
import { isOver } from '../core/launch-table.ts'
import type { SkyFaults } from '../sim/skypilot-faults.ts'
import { type TestWorld, testWorld } from '../store/world-for-tests.ts'

type SkyWorld = World<SkyPilotOnTrial>

let base: TestWorld
let worlds: SkyWorld[] = []
beforeAll(async () => {
  base = await testWorld()
})
afterEach(async () => {
  await Promise.all(worlds.map(({ cloud }) => cloud.stop()))
  worlds = []
})
afterAll(() => base.drop())

async function begin(faults: Partial<SkyFaults> = {}, crash?: CrashPlan, settings = {}): Promise<SkyWorld> {
  const world = await skyWorld(base, { faults, settings, ...(crash ? { crash } : {}) })
  worlds.push(world)
  return world
}

const live = (world: SkyWorld) => world.until((state) => state === 'live' || isOver(state))
const causesOf = async (world: SkyWorld) => (await world.nodes()).map(({ failure }) => failure)
const oneRound = { retry: { ...worldSettings.retry, rounds: 1 } }

/** Given back by hand, then everything as it should be: nothing left, nothing twice, every second billed once. */
async function endsClean(world: SkyWorld): Promise<void> {
  await world.withdraw()
  await world.untilOver()
  assert.deepEqual(await world.faults(), [])
}

describe('an API server', () => {
  test('that is away when a launch is asked for is asked once it is back, and nothing was posted meanwhile', async () => {
    const world = await begin({ away: true })
    await world.passes(10)
    assert.equal(await world.state(), 'attempting')
    assert.equal(world.cloud.sky.posted.length, 0)
    world.cloud.sky.faults.away = false
    assert.equal(await live(world), 'live')
    assert.equal(world.cloud.sky.posted.length, 1)
    await endsClean(world)
  })

  test('that dies in the middle has its machine given back, and the launch goes on under another name', async () => {
    const world = await begin({ stopBefore: 'up' })
    await world.until(() => world.cloud.sky.machines.size === 1)
    await world.passes(3)
    Object.assign(world.cloud.sky.faults, { away: true, stopBefore: null })
    world.cloud.sky.restart()
    await world.passes(2)
    assert.equal(await world.state(), 'attempting')
    world.cloud.sky.faults.away = false
    for (const name of world.cloud.sky.clusters.keys()) world.cloud.sky.claimUp(name)
    assert.equal(await live(world), 'live')
    assert.deepEqual(await causesOf(world), ['cloud_unavailable', null])
    await endsClean(world)
  })

  test('that is restarted with care in the middle has the launch go on under another name', async () => {
    const world = await begin({ stopBefore: 'up' })
    await world.until(() => world.cloud.sky.machines.size === 1)
    await world.passes(3)
    world.cloud.sky.interruptAll()
    world.cloud.sky.faults.stopBefore = null
    assert.equal(await live(world), 'live')
    assert.deepEqual(await causesOf(world), ['cloud_unavailable', null])
    await endsClean(world)
  })

  test('that stays away until the deadline is named as the cause; of it nothing was asked, so nothing is waited for', async () => {
    const world = await begin({ away: true })
    assert.equal(await world.untilOver(), 'timed_out')
    assert.match(
      await world.written(),
      /time limit of the launch ran out.*SkyPilot API server at http.*does not answer/,
    )
    assert.equal(world.cloud.sky.posted.length, 0)
    assert.deepEqual(await world.faults(), [])
  })

  test('that is away lets a launch be cancelled at once that it was never asked for', async () => {
    const world = await begin({ away: true })
    await world.passes(5)
    await world.withdraw()
    assert.equal(await world.untilOver(), 'cancelled')
    assert.deepEqual(await world.faults(), [])
  })

  test('that goes away with a machine half made is named as the cause, and the machine is ended once it is back', async () => {
    const world = await begin({ stopBefore: 'runtime' })
    await world.until(() => world.cloud.sky.machines.size === 1)
    await world.passes(2)
    world.cloud.sky.faults.away = true
    await world.until((state) => state === 'ending')
    await world.passes(5)
    assert.equal(await world.state(), 'ending')
    assert.equal(world.cloud.sky.machines.size, 1)
    Object.assign(world.cloud.sky.faults, { away: false, stopBefore: null })
    assert.equal(await world.untilOver(), 'timed_out')
    const [node] = await world.nodes()
    assert.equal(node?.failure, 'never_joined')
    assert.match(await world.written(), /nobody could ask the cloud: The SkyPilot API server at http.*does not answer/)
    assert.deepEqual(await world.faults(), [])
  })

  test('that answers 503 is asked again, and takes the launch once', async () => {
    const world = await begin({ busy: 12 })
    assert.equal(await live(world), 'live')
    assert.equal(Math.max(...world.cloud.made.values()), 1)
    await endsClean(world)
  })

  test.each([
    ['wants a token that it does not get', { token: 'sky_another' }, 'cloud_credentials'],
    ['wants a newer client', { leastVersion: 99 }, 'cloud_version'],
    ['is too old', { apiVersion: 54 }, 'cloud_version'],
  ])('that %s fails the launch at once and says why, though nobody can look', async (_, faults, why) => {
    const world = await begin(faults, undefined, oneRound)
    assert.equal(await world.untilOver(), 'failed')
    assert.ok((await causesOf(world)).every((code) => code === why))
    assert.equal(world.cloud.sky.posted.length, 0)
    assert.ok(world.turns < 100, `it took ${world.turns} turns`)
    assert.deepEqual(await world.faults(), [])
  })

  test('that refuses the token of the configuration fails the launch at once, says which to set, and nothing is paid', async () => {
    const world = await begin({ token: 'sky_another' }, undefined, oneRound)
    world.cloud.token = 'sky_wrong'
    const sent = new Set<string | undefined>()
    world.cloud.sky.onCall = ({ headers }) => sent.add(headers.authorization)
    assert.equal(await world.untilOver(), 'failed')
    assert.deepEqual([...sent], ['Bearer sky_wrong'])
    const nodes = await world.nodes()
    assert.ok(nodes.length > 0)
    for (const { failure, firstSeenAt } of nodes) assert.deepEqual([failure, firstSeenAt], ['cloud_credentials', null])
    assert.match(await world.written(), /refuses the token of the configuration.*FLIGHTDECK_SKYPILOT_TOKEN/)
    assert.equal(world.cloud.sky.posted.length, 0)
    assert.ok(world.turns < 100, `it took ${world.turns} turns`)
    assert.deepEqual(await world.faults(), [])
  })

  test('whose answers have unknown fields and statuses is followed all the same', async () => {
    const world = await begin({ strange: true })
    assert.equal(await live(world), 'live')
    await endsClean(world)
  })

  test('that lists a machine late: its agent has joined long before, and there is one of it', async () => {
    const world = await begin({ listingLagMs: 3_600_000 })
    assert.equal(await live(world), 'live')
    world.cloud.sky.faults.listingLagMs = 0
    await endsClean(world)
  })
})

describe('a launch', () => {
  test('whose name is a cluster of somebody else gets another name; theirs is neither billed nor touched', async () => {
    const world = await begin({ foreignNames: true })
    await world.until(async () => (await causesOf(world))[0] === 'cloud_refused')
    world.cloud.sky.faults.foreignNames = false
    assert.equal(await live(world), 'live')
    await endsClean(world)
    const [first] = await world.nodes()
    assert.equal(first?.firstSeenAt, null)
    assert.deepEqual([...world.cloud.sky.clusters.keys()], [first?.name])
  })

  test('whose name another user of the server took gets another name; theirs is neither billed nor ended', async () => {
    const world = await begin({ away: true })
    await world.until(async () => (await world.nodes())[0]?.state === 'requesting')
    const [first] = await world.nodes()
    world.cloud.sky.faults.away = false
    await world.cloud.postedByHand([first?.name ?? ''])
    for (let i = 0; i < 8; i++) world.cloud.workOn()
    assert.equal(await live(world), 'live')
    assert.deepEqual(await causesOf(world), ['cloud_refused', null])
    await world.withdraw()
    await world.untilOver()
    assert.deepEqual([...world.cloud.sky.machines.keys()], [first?.name])
    assert.equal((await world.nodes())[0]?.firstSeenAt, null)
    assert.deepEqual(await world.faults(), [])
  })

  test('that is called up without a job is given back: its set-up never ran', async () => {
    const world = await begin({ noJobs: true })
    await world.until(async () => (await causesOf(world))[0] === 'node_setup_failed')
    world.cloud.sky.faults.noJobs = false
    assert.equal(await live(world), 'live')
    assert.match(await world.written(), /no job was ever submitted/)
    await endsClean(world)
  })

  test('without room at one place takes the next', async () => {
    const world = await begin({ full: new Set(['lab/main']) })
    assert.equal(await live(world), 'live')
    assert.deepEqual(await causesOf(world), ['no_capacity', null])
    await endsClean(world)
  })

  test('whose machine cannot get the agent that was announced is given back, with the last words of its job', async () => {
    const line = 'flightdeck: agent_altered: http://control/agent.cjs is not what was announced: wrong checksum'
    const world = await begin({ jobState: 'FAILED', jobLines: [line] })
    await world.until(async () => (await causesOf(world))[0] === 'agent_altered')
    world.cloud.sky.faults.jobState = 'RUNNING'
    assert.equal(await live(world), 'live')
    assert.match(await world.written(), /wrong checksum/)
    await endsClean(world)
  })

  test('that never ends is ended by us, with its time limit as the cause', async () => {
    const world = await begin({ stopBefore: 'machine' }, undefined, oneRound)
    assert.equal(await world.untilOver(), 'failed')
    assert.ok((await causesOf(world)).every((code) => code === 'boot_timeout'))
    assert.deepEqual(await world.faults(), [])
  })

  test('whose job runs only after it was given up: the agent that joins then is turned away, and its machine goes', async () => {
    const world = await begin({ stopBefore: 'job' })
    await world.until(() => world.cloud.sky.machines.size === 1)
    await world.passes(2)
    await world.withdraw()
    await world.passes(1)
    for (const machine of world.cloud.sky.machines.values()) machine.jobs.push('RUNNING')
    await world.untilOver()
    assert.deepEqual(await world.faults(), [])
    assert.equal(world.cloud.sky.machines.size, 0)
  })

  test.each([
    ['All nodes terminated, cleaning up the cluster.', /its cloud took it away/],
    ['Cluster was terminated by user.', /somebody ended it/],
    ['Cluster was autodowned (idle timeout).', /idle/],
  ])('whose machine vanishes while it serves ("%s") ends with who ended it', async (event, why) => {
    const world = await begin()
    const process = world.process()
    await world.until((state) => state === 'live', process)
    for (const name of world.cloud.sky.machines.keys()) world.cloud.sky.vanish(name, event)
    assert.equal(await world.until(isOver, process), 'ended')
    assert.match(await world.written(), why)
    assert.deepEqual(await world.faults(), [])
  })

  test.each([
    ['All nodes terminated, cleaning up the cluster.', /its cloud took it away/],
    ['Cluster was terminated by user.', /somebody ended it/],
    ['Cluster was autodowned (idle timeout).', /idle/],
  ])(
    'whose machine vanishes while nobody watches ("%s") ends with who ended it, told by the next process',
    async (event, why) => {
      const world = await begin()
      await live(world)
      for (const name of world.cloud.sky.machines.keys()) world.cloud.sky.vanish(name, event)
      world.cloud.sky.restart()
      assert.equal(await world.until(isOver, world.process()), 'ended')
      assert.match(await world.written(), why)
      assert.deepEqual(await world.faults(), [])
    },
  )

  test('whose machine is lost without a word is over within a minute, though the server remembers it', async () => {
    const world = await begin()
    const process = world.process()
    await world.until((state) => state === 'live', process)
    const lostAt = base.deps.clock.now()
    for (const name of world.cloud.sky.machines.keys()) world.cloud.sky.lose(name)
    assert.equal(await world.until(isOver, process), 'ended')
    const tookMs = base.deps.clock.now() - lostAt
    assert.ok(tookMs < 60_000, `it took ${tookMs} ms`)
    assert.match(await world.written(), /its cloud took it away/)
    assert.deepEqual(await world.faults(), [])
  })

  test('that is cancelled at SkyPilot behind our back leaves no orphan', async () => {
    const world = await begin({ stopBefore: 'runtime' })
    await world.until(() => world.cloud.sky.machines.size === 1)
    world.cloud.sky.cancelAll()
    world.cloud.sky.faults.stopBefore = null
    assert.equal(await live(world), 'live')
    await endsClean(world)
  })
})

describe('an API server that is killed with the only word of a launch, before there is a row,', () => {
  /** The answer to the first launch is lost, and with the server every trace of it. */
  async function lostWorld(crash?: CrashPlan): Promise<SkyWorld> {
    const world = await begin({ loseAnswers: 1, stopBefore: 'placing' }, crash)
    const { sky } = world.cloud
    sky.onCall = ({ method }) => {
      if (method !== 'GET' || sky.posted.length === 0) return
      sky.onCall = null
      sky.restart()
      sky.faults.stopBefore = null
    }
    return world
  }

  test('has the launch go on under another name', async () => {
    const world = await lostWorld()
    assert.equal(await live(world), 'live')
    assert.deepEqual(await causesOf(world), ['cloud_unavailable', null])
    assert.equal(world.cloud.made.size, 2)
    await endsClean(world)
  })

  test('and that had begun all the same has its machine ended when it lists it late', async () => {
    const world = await lostWorld()
    await world.until(async () => (await world.nodes())[0]?.state === 'gone')
    const [first] = await world.nodes()
    const { sky } = world.cloud
    const made = { name: first?.name ?? '', region: 'lab/main', madeAt: Date.now(), owner: 'f11e4dec', command: 'x' }
    sky.clusters.set(made.name, { ...made, status: 'UP', lastEvent: 'All nodes up; SkyPilot runtime healthy.' })
    sky.machines.set(made.name, { name: made.name, jobs: [] })
    await world.until(async () => (await world.nodes())[0]?.state === 'releasing')
    await world.until(() => !sky.machines.has(made.name))
    assert.equal(await live(world), 'live')
    await world.withdraw()
    await world.untilOver()
    assert.deepEqual(await world.faults(), [])
  })

  // As below, not every call: each life is a story of its own.
  test.each([
    ['before', 4, 2],
    ['after', 14, 3],
  ] as const)(
    'leaves nothing and has no name launched twice, wherever the control plane dies as well: %s a call, withdrawn after %i passes',
    { timeout: 300_000 },
    async (when, withdrawAfter, stride) => {
      let lives = 0
      for (let at = 1, reached = true; reached; at += stride, lives++) {
        const world = await lostWorld({ at, when })
        await world.passes(withdrawAfter)
        await world.withdraw()
        await world.untilOver()
        assert.deepEqual(await world.faults(), [], `died ${world.crashes.whereFired}`)
        reached = world.crashes.reached(at)
        await world.cloud.stop()
        worlds = []
      }
      assert.ok(lives > 5, `only ${lives} lives`)
    },
  )
})

describe('wherever the control plane dies between two calls of the API', () => {
  // The long story takes every third call only: the loops' own sweep takes every step of it, on a cloud without HTTP.
  test.each([
    ['before', 4, 1],
    ['after', 12, 3],
  ] as const)(
    'nothing is left and no name is launched twice: dying %s a call, withdrawn after %i passes',
    { timeout: 300_000 },
    async (when, withdrawAfter, stride) => {
      let lives = 0
      for (let at = 1, reached = true; reached; at += stride, lives++) {
        const world = await begin({}, { at, when })
        await world.passes(withdrawAfter)
        await world.withdraw()
        await world.untilOver()
        assert.deepEqual(await world.faults(), [], `died ${world.crashes.whereFired}`)
        reached = world.crashes.reached(at)
        await world.cloud.stop()
        worlds = []
      }
      assert.ok(lives > 5, `only ${lives} lives`)
    },
  )
})
