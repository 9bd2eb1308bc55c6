import assert from 'node:assert/strict'
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest'
import { type World, type WorldOptions, worldSettings } from '../../test/control-world.ts'
import { type SkyPilotOnTrial, skyOffers, skyWorld } from '../../test/sky-world.ts'
import type { FailureRecord } from '../core/failure.ts'
import { isOver } from '../core/launch-table.ts'
import { anyWish, type Wish } from '../core/offer.ts'
import { holdsOf } from '../core/queue.ts'
import type { SkyFaults } from '../sim/skypilot-faults.ts'
import { saveOffers } from '../store/offers.ts'
import { lookAtQueue } from '../store/queue.ts'
import { addNode, setNodeState, type TestWorld, testWorld } from '../store/world-for-tests.ts'

type SkyWorld = World<SkyPilotOnTrial>

let base: TestWorld
let world: SkyWorld
beforeAll(async () => {
  base = await testWorld()
})
afterEach(() => world.cloud.stop())
afterAll(() => base.drop())

const oneRound = { retry: { ...worldSettings.retry, rounds: 1 } }

async function begin(
  faults: Partial<SkyFaults>,
  options: Omit<WorldOptions, 'faults'> = { settings: oneRound },
): Promise<SkyWorld> {
  world = await skyWorld(base, { faults, ...options })
  return world
}

async function failures(): Promise<FailureRecord[]> {
  const { db } = base.deps.store
  const ids = (await world.nodes()).map(({ id }) => id)
  const rows = await db
    .selectFrom('attempts')
    .select(['failure'])
    .where('node_id', 'in', ids)
    .orderBy('ordinal')
    .execute()
  return rows.flatMap(({ failure }) => failure ?? [])
}

describe('attempts', () => {
  const kinds = ['main', 'spot'].flatMap((partition) =>
    ['H100', 'A100'].flatMap((gpu) =>
      [true, false].map((spot) => ({
        ...skyOffers[0],
        id: [partition, gpu, spot].join(' '),
        cloud: 'slurm',
        region: `lab/${partition}`,
        gpu,
        gpuCount: 1,
        vramGib: 80,
        spot,
        pricePerHourMicroUsd: spot ? 1_000_000 : 2_000_000,
        available: null,
      })),
    ),
  )
  const full = new Set(['lab/main', 'lab/spot'])

  /** What was asked of the server, each launch in its order, as its task file pins it. */
  const asked = () =>
    world.cloud.sky.posted.map(({ task }) => {
      const word = (field: string) => new RegExp(`${field}: "?([^"\n]+)`).exec(String(task))?.[1]
      return [word('accelerators'), word('infra'), word('use_spot') === 'true' ? 'spot' : 'on demand'].join(' ')
    })

  test('go through the places in the wished order, each pinned to one, spot before on demand', async () => {
    const wish: Wish = { ...anyWish, gpus: ['A100', 'H100'], regions: ['lab/spot', 'lab/main'], spot: 'first' }
    await begin({ full }, { settings: oneRound, offers: kinds, wish })
    assert.equal(await world.untilOver(), 'failed')
    assert.deepEqual(
      asked(),
      ['spot', 'on demand'].flatMap((spot) =>
        ['A100:1', 'H100:1'].flatMap((gpu) => ['lab/spot', 'lab/main'].map((at) => `${gpu} slurm/${at} ${spot}`)),
      ),
    )
    assert.ok((await failures()).every(({ code }) => code === 'no_capacity'))
    assert.deepEqual(await world.faults(), [])
  })

  test('of a launch that wants no spot machine are made on demand alone', async () => {
    await begin({ full }, { settings: oneRound, offers: kinds, wish: { ...anyWish, spot: 'never', gpus: ['H100'] } })
    await world.untilOver()
    assert.deepEqual(asked(), ['H100:1 slurm/lab/main on demand', 'H100:1 slurm/lab/spot on demand'])
  })

  test('begin a second round after the first one, and no third', async () => {
    await begin({ full }, {})
    assert.equal(await world.untilOver(), 'failed')
    assert.deepEqual(
      asked().map((words) => words.split(' ')[1]),
      ['slurm/lab/main', 'slurm/lab/spot', 'slurm/lab/main', 'slurm/lab/spot'],
    )
  })

  test('with a text that nobody has seen are made twice at most, and the text is kept', async () => {
    await begin({ launchError: { type: 'OddError', message: 'The moon is in the wrong place.' } }, {})
    assert.equal(await world.untilOver(), 'failed')
    const told = await failures()
    assert.deepEqual(
      told.map(({ code, evidence }) => [code, evidence]),
      Array(2).fill(['cloud_unknown', 'OddError: The moon is in the wrong place.']),
    )
  })
})

describe('a time limit', () => {
  test('does not count the time in the queue of the API server, and the place there is told', async () => {
    await begin({ stopBefore: 'placing' }, {})
    const step = async () =>
      (await base.deps.store.db.selectFrom('sightings').select('detail').orderBy('at', 'desc').executeTakeFirst())
        ?.detail
    await world.until(async () => String((await step())?.['step']).endsWith('place 1'))
    const { clock } = base.deps
    const since = clock.now()
    await world.until(() => clock.now() - since > 3 * world.cloud.traits.requestLimitMs)
    assert.equal(await world.state(), 'attempting')
    assert.equal((await world.nodes()).length, 1)
    world.cloud.sky.faults.stopBefore = null
    assert.equal(await world.until((state) => state === 'live' || isOver(state)), 'live')
    await world.withdraw()
    await world.untilOver()
    assert.deepEqual(await world.faults(), [])
  })

  describe('that follows from the offers', () => {
    const limitMs = 12_000
    const offers = skyOffers.slice(0, 1).map((offer) => ({ ...offer, attemptLimitMs: limitMs }))
    // Without the grace after a start, which would hide a limit that runs out.
    const settings = { ...oneRound, graceMs: 0 }
    const soft = { settings, offers, time: { limitMs, waitsCount: false } }
    /** Each time another process of the control plane goes on. */
    const waits = async (ms: number) => {
      for (const end = base.deps.clock.now() + ms; base.deps.clock.now() < end; ) await world.passes(10)
    }
    const goesLive = async () => {
      assert.equal(await world.until((state) => state === 'live' || isOver(state)), 'live')
      await world.withdraw()
      await world.untilOver()
      assert.deepEqual(await world.faults(), [])
    }

    test('stands still in the queue of the API server, also over restarts', async () => {
      await begin({ stopBefore: 'placing' }, soft)
      await waits(2 * limitMs)
      assert.equal(await world.state(), 'attempting')
      world.cloud.sky.faults.stopBefore = null
      await goesLive()
    })

    test('does not stand still there where the operator has set it', async () => {
      await begin({ stopBefore: 'placing' }, { ...soft, time: { limitMs, waitsCount: true } })
      await waits(2 * limitMs)
      world.cloud.sky.faults.stopBefore = null
      assert.equal(await world.untilOver(), 'timed_out')
      assert.deepEqual(await world.faults(), [])
    })

    test('gives a launch that waited longer than all of it its whole time', async () => {
      const paused = { ...soft, settings: { ...settings, attemptsInFlight: 0 } }
      await begin({}, paused)
      await waits(2 * limitMs)
      assert.equal(await world.state(), 'queued')
      Object.assign(world.settings, { attemptsInFlight: 1 })
      await goesLive()
    })

    test('ends a launch whose tries have used it up together, over a restart between them', async () => {
      const retry = { ...worldSettings.retry, rounds: 3 }
      const short = offers.map((offer) => ({ ...offer, attemptLimitMs: 5_000 }))
      await begin({ stopBefore: 'machine' }, { ...soft, settings: { ...settings, retry }, offers: short })
      await world.until(async () => (await world.nodes()).length === 2)
      assert.equal(await world.untilOver(), 'timed_out')
      assert.equal((await world.nodes()).length, 2, 'ten seconds for the first one left five for the second')
      assert.match(await world.written(), /15 s in provisioning/)
    })
  })

  test.each([
    ['machine', 'boot_timeout', /10 of 10 s in provisioning: likely no capacity/, /more offers/],
    ['job', 'never_joined', /20 of 20 s in the start of the machine: likely a slow image/, /public address/],
  ] as const)(
    'that ran out before the "%s" of SkyPilot names the phase that took the time',
    async (stopBefore, code, cause, remedy) => {
      await begin({ stopBefore })
      await world.untilOver()
      const [failure] = await failures()
      assert.equal(failure?.code, code)
      assert.match(failure.cause, cause)
      assert.match(failure.remedy, remedy)
    },
  )
})

describe('a launch whose server works on as many as it should', () => {
  const launchServers = [{ name: 'SkyPilot', clouds: ['slurm'], atOnce: 1 }]
  const settings = { ...oneRound, launchServers }

  /** A launch of somebody else, whose machine never gets further than it is told. */
  async function busyServer() {
    const { db } = base.deps.store
    const [offer] = skyOffers
    const { nodeId, launchId } = await addNode(base, { state: 'requesting', offer: offer ?? assert.fail() })
    return {
      frees: () => setNodeState(base.deps.store, nodeId, 'loading'),
      async ends() {
        await setNodeState(base.deps.store, nodeId, 'gone')
        await db.updateTable('launches').set({ state: 'ended', holds_slot: false }).where('id', '=', launchId).execute()
      },
    }
  }

  test('waits in our queue with the reason, and begins when a worker is free', async () => {
    const other = await busyServer()
    await begin({}, { settings })
    await world.passes(10)
    assert.equal(await world.state(), 'queued')
    assert.equal(world.cloud.sky.posted.length, 0)
    const queue = await lookAtQueue(base.deps.store.db)
    assert.match([...holdsOf(queue.order, queue, world.settings).values()].join(), /^SkyPilot works on 1 launches/)
    await other.frees()
    assert.equal(await world.until((state) => state === 'live' || isOver(state)), 'live')
    await world.withdraw()
    await world.untilOver()
    assert.deepEqual(await world.faults(), [])
    await other.ends()
  })

  test('is not posted while one of ours waits behind what others launch there, and is told at which place that one is', async () => {
    const several = { ...oneRound, launchServers: [{ name: 'SkyPilot', clouds: ['slurm'], atOnce: 9 }] }
    await begin({ stopBefore: 'placing' }, { settings: several })
    await world.cloud.postedByHand(['my-training', 'my-evaluation'])
    const next = async () => {
      const queue = await lookAtQueue(base.deps.store.db)
      return holdsOf([{ launchId: 'la-next', cloud: 'slurm' }], queue, world.settings).get('la-next')
    }
    await world.until(() => world.cloud.sky.posted.length === 3)
    assert.equal(await next(), null, 'a moment in the queue says nothing')
    await world.until(async () => /waits at place 3 of its own queue/.test((await next()) ?? ''))
    world.cloud.sky.faults.stopBefore = 'machine'
    await world.until(async () => (await next()) === null)
    world.cloud.sky.faults.stopBefore = null
    assert.equal(await world.until((state) => state === 'live' || isOver(state)), 'live')
    for (const name of ['my-training', 'my-evaluation']) world.cloud.sky.vanish(name)
    await world.withdraw()
    await world.untilOver()
    assert.deepEqual(await world.faults(), [])
  })

  test('is ranked anew when it begins: a price that fell meanwhile counts', async () => {
    const other = await busyServer()
    await begin({}, { settings })
    await world.passes(3)
    const now = skyOffers.map((offer) => ({ ...offer, pricePerHourMicroUsd: offer.id === 'slurm/lab/spot' ? 1 : 2 }))
    await saveOffers(base.deps.store.db, 'slurm', now, base.deps.clock.now())
    await other.frees()
    await world.until((state) => state === 'live' || isOver(state))
    assert.match(String(world.cloud.sky.posted[0]?.['task']), /infra: "slurm\/lab\/spot"/)
    await other.ends()
  })
})
