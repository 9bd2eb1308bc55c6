import assert from 'node:assert/strict'
import { afterAll, afterEach, beforeAll, describe, test, vi } from 'vitest'
import { type World, worldSettings } from '../../test/control-world.ts'
import type { CrashPlan } from '../../test/crashes.ts'
import { type SkyPilotOnTrial, skyOffers, skyWorld } from '../../test/sky-world.ts'
import { exitFailure } from '../agent/engine-report.ts'
import { createLogReader } from '../agent/log-reader.ts'
import { recordedJson } from '../clouds/skypilot/recorded-for-tests.ts'
import { setUpCodes } from '../clouds/skypilot/run-script.ts'
import { isOver } from '../core/launch-table.ts'
import { failureLines, failureScripts, type SimFailure } from '../sim/engine-failures.ts'
import type { SkyFaults } from '../sim/skypilot-faults.ts'
import { enrol } from '../store/claims.ts'
import { type TestWorld, testWorld } from '../store/world-for-tests.ts'
import { keepSteps } from './steps.ts'
import { sweepLoop } from './sweep.ts'

type SkyWorld = World<SkyPilotOnTrial>

let base: TestWorld
let world: SkyWorld
beforeAll(async () => {
  base = await testWorld()
})
afterEach(() => world.cloud.stop())
afterAll(() => base.drop())

const oneRound = { retry: { ...worldSettings.retry, rounds: 1 } }

async function begin(faults: Partial<SkyFaults> = {}, settings = {}): Promise<SkyWorld> {
  world = await skyWorld(base, { faults, settings })
  return world
}

const live = () => world.until((state) => state === 'live' || isOver(state))
const db = () => base.deps.store.db

async function failures() {
  const ids = (await world.nodes()).map(({ id }) => id)
  if (ids.length === 0) return []
  const rows = await db().selectFrom('nodes').select('failure').where('id', 'in', ids).orderBy('created_at').execute()
  return rows.flatMap(({ failure }) => failure ?? [])
}

describe('an engine that fails on a rented machine', () => {
  /** What an agent makes of what the engine printed. */
  function asTold(name: SimFailure) {
    const script = failureScripts[name]
    const reader = createLogReader()
    const printed = failureLines(
      script,
      (level, text) => `(EngineCore pid=7) ${level} 11-25 10:00:00 [core.py:1] ${text}`,
    )
    reader.push(printed.map((line) => `${line}\n`).join(''))
    const log = { reader, tail: () => printed.slice(-5).join('\n') }
    return exitFailure({ code: script.exitCode, signal: null }, log as unknown as Parameters<typeof exitFailure>[1])
  }

  test.each(Object.keys(failureScripts) as SimFailure[])(
    'with "%s" is given back with class, cause and remedy, and tried again only where that may help',
    async (name) => {
      await begin({}, oneRound)
      const told = asTold(name)
      world.agents.failure = told as NonNullable<typeof world.agents.failure>
      assert.equal(await world.untilOver(), 'failed')
      const kept = await failures()
      assert.ok(
        kept.every(({ code, cause, remedy }) => code === name && cause === told.cause && remedy === told.remedy),
      )
      const tries = { never: 1, same: kept.length, elsewhere: 2, not_here: 2, later: 1 }[told.retry]
      assert.equal(kept.length, tries)
      assert.ok(kept[0]?.evidence?.includes(failureScripts[name].error.trim().slice(0, 40)))
      assert.deepEqual(await world.faults(), [])
    },
  )
})

describe('a launch that SkyPilot refused, in the words that were recorded,', () => {
  const errorIn = (file: string): { type: string; message: string } => {
    const { detail } = recordedJson(`api_get.launch.FAILED.${file}.http500.json`) as { detail: { error: string } }
    return JSON.parse(detail.error)
  }

  test.each([
    ['bad_name', 'task_refused', 1],
    ['ports_not_supported', 'task_refused', 1],
    ['cloud_not_enabled', 'cloud_credentials', 1],
    ['infeasible', 'cloud_refused', skyOffers.length],
    ['no_capacity', 'no_capacity', skyOffers.length * worldSettings.retry.rounds],
  ])(
    'for "%s" fails with %s after %i attempts, nothing was made and nothing is billed',
    async (file, code, attempts) => {
      await begin({ launchError: errorIn(file) })
      assert.equal(await world.untilOver(), 'failed')
      const kept = await failures()
      assert.equal(kept.length, attempts)
      assert.ok(kept.every((failure) => failure.code === code && failure.remedy !== ''))
      assert.ok((await world.nodes()).every(({ firstSeenAt }) => firstSeenAt === null))
      assert.deepEqual(await world.faults(), [])
    },
  )
})

describe('a launch that is answered with 503', () => {
  /** How often each name was posted, whether or not it was taken. */
  function posts(): Map<string, number> {
    const times = new Map<string, number>()
    world.cloud.sky.onCall = ({ method, url, body }) => {
      const name = String(body['cluster_name'])
      if (method === 'POST' && url.pathname === '/launch') times.set(name, (times.get(name) ?? 0) + 1)
    }
    return times
  }

  test('is tried again under another name: no name is posted twice, and those that were refused cost nothing', async () => {
    await begin({ busyLaunches: 2 })
    const posted = posts()
    assert.equal(await live(), 'live')
    const nodes = await world.nodes()
    assert.deepEqual(
      nodes.map(({ name, failure, firstSeenAt }) => [posted.get(name), failure, firstSeenAt === null]),
      [
        [1, 'cloud_unavailable', true],
        [1, 'cloud_unavailable', true],
        [1, null, false],
      ],
    )
    const [first] = await failures()
    assert.match(first?.cause ?? '', /not ready/)
    await world.withdraw()
    await world.untilOver()
    const refused = nodes.slice(0, 2).map(({ id }) => id)
    const paid = await db().selectFrom('ledger').select('node_id').where('node_id', 'in', refused).execute()
    assert.deepEqual(paid, [])
    assert.deepEqual(await world.faults(), [])
  })

  test('and was taken all the same has its machine ended before another is asked for; no name is posted twice', async () => {
    await begin({ busyAnswers: 1 })
    const posted = posts()
    assert.equal(await live(), 'live')
    assert.deepEqual([...posted.values()], [1, 1])
    const [taken] = await world.nodes()
    assert.deepEqual([taken?.state, taken?.failure], ['gone', 'cloud_unavailable'])
    assert.equal(world.cloud.sky.machines.size, 1)
    await world.withdraw()
    await world.untilOver()
    assert.deepEqual(await world.faults(), [])
  })

  test.each(['busyLaunches', 'busyAnswers'] as const)(
    'leaves nothing and has no name posted twice, wherever the control plane dies after the answer (%s)',
    { timeout: 300_000 },
    async (fault) => {
      const livesThrough = async (crash?: CrashPlan) => {
        world = await skyWorld(base, { faults: { [fault]: 1 }, ...(crash ? { crash } : {}) })
        const posted = posts()
        await world.passes(4)
        await world.withdraw()
        await world.untilOver()
        assert.deepEqual(await world.faults(), [], `died ${world.crashes.whereFired}`)
        assert.equal(Math.max(...posted.values()), 1)
        await world.cloud.stop()
        return world.crashes
      }
      const postedAt = (await livesThrough()).names.indexOf('launch') + 1
      assert.ok(postedAt > 0)
      // Each of the effects after the answer, the first of which keeps it.
      for (let at = postedAt + 1; at <= postedAt + 4; at++)
        assert.ok((await livesThrough({ at, when: 'before' })).fired)
    },
  )
})

describe('set-up that fails at SkyPilot', () => {
  const exit = 'Failed to run setup commands on an instance. (exit code 1). Error:'
  test.each([
    ['a full disk', `${exit} OSError: [Errno 28] No space left on device`, 'disk_full', /larger disk/],
    [
      'a name that is not resolved',
      `${exit} dns error: failed to lookup address`,
      'registry_unreachable',
      /name servers/,
    ],
    ['a registry that does not answer', `${exit} Connection timed out`, 'registry_unreachable', /package registry/],
    ['whatever else', `${exit} something nobody has seen`, 'node_setup_failed', /given back/],
  ])('for %s tells class, cause and remedy, and another place is tried', async (_, message, code, remedy) => {
    await begin({ setUpError: { type: 'RuntimeError', message } })
    await world.until(async () => (await failures()).length > 0)
    world.cloud.sky.faults.setUpError = null
    assert.equal(await live(), 'live')
    const [failure] = await failures()
    assert.equal(failure?.code, code)
    assert.match(failure.remedy, remedy)
    assert.ok(failure.evidence?.includes(message))
    await world.withdraw()
    await world.untilOver()
    assert.deepEqual(await world.faults(), [])
  })
})

describe('set-up of ours that fails', () => {
  test.each(setUpCodes)('with "%s" tells that and its last words, and the machine is given back', async (code) => {
    const lines = ['unpacking', `flightdeck: ${code}: so it said`, 'exit status 1']
    await begin({ jobState: 'FAILED', jobLines: lines }, oneRound)
    assert.equal(await world.untilOver(), 'failed')
    const kept = await failures()
    assert.ok(kept.length > 0 && kept.every((failure) => failure.code === code))
    assert.ok(kept.every(({ cause, evidence }) => cause.includes('so it said') && evidence?.includes('unpacking')))
    assert.deepEqual(await world.faults(), [])
  })
})

test('a stream that is cut in the middle of a line, again and again, is kept as one story of the launch', async () => {
  await begin({ cutStreams: 3, stopBefore: 'up' })
  // Steps without a place in the stream stand behind those that have one.
  const ofTheStream = 500_000
  const process = world.process()
  const keeping = keepSteps(process.deps)
  const last = 'Preparing SkyPilot runtime (3/3 - runtime)'
  const texts = async () => {
    const rows = await db()
      .selectFrom('steps')
      .select(['text'])
      .where('n', '>', 0)
      .where('n', '<', ofTheStream)
      .orderBy('n')
      .execute()
    return rows.map(({ text }) => text)
  }
  await world.until(() => world.cloud.machines.size === 1, process)
  await vi.waitFor(
    async () => {
      await world.turn(process)
      assert.ok((await texts()).includes(last))
    },
    { timeout: 20_000 },
  )
  await keeping.stop()
  assert.deepEqual(await texts(), [
    'Optimizing',
    'Launching',
    'Launching on Slurm lab (main).',
    'Launching - Checking instance status',
    'Launching - Waiting for SSH access',
    'Instance is up.',
    'Preparing SkyPilot runtime (1/3 - initializing)',
    'Preparing SkyPilot runtime (2/3 - dependencies)',
    last,
  ])
  await world.withdraw()
  world.cloud.sky.faults.stopBefore = null
  await world.untilOver()
  assert.deepEqual(await world.faults(), [])
})

describe('the bill of a rented machine', () => {
  const lines = () => db().selectFrom('ledger').selectAll().where('kind', '=', 'usage').orderBy('id').execute()
  const mine = async () => {
    const ids = (await world.nodes()).map(({ id }) => id)
    return (await lines()).filter(({ node_id }) => ids.includes(node_id))
  }

  test('opens when SkyPilot says that instances were launched, and not with the row that comes before', async () => {
    await begin({ stopBefore: 'machine' })
    const { sky } = world.cloud
    await world.until(() => [...sky.clusters.values()].some(({ lastEvent }) => lastEvent.startsWith('Provisioning on')))
    await world.passes(4)
    assert.deepEqual(await mine(), [])
    sky.faults.stopBefore = 'runtime'
    const before = base.deps.clock.now()
    await world.until(async () => (await mine()).length > 0)
    assert.ok([...sky.clusters.values()].every(({ lastEvent }) => lastEvent.startsWith('Instances launched on')))
    const [line] = await mine()
    const [node] = await world.nodes()
    assert.equal(line?.opened_at, node?.firstSeenAt)
    assert.ok((line?.opened_at ?? 0) >= before, 'nothing is paid for from before it was there')
    await world.withdraw()
    sky.faults.stopBefore = null
    await world.untilOver()
    assert.deepEqual(await world.faults(), [])
  })

  test('closes when its end was seen twice, and not when it was asked for', async () => {
    await begin()
    await live()
    await world.withdraw()
    const process = world.process()
    let sawGoneAt: number | null = null
    await world.until(async (state) => {
      const [node] = await world.nodes()
      const open = (await mine()).filter(({ closed_at }) => closed_at === null)
      assert.equal(open.length, node?.state === 'gone' ? 0 : 1, `the node is ${node?.state}`)
      if (world.cloud.machines.size === 0) sawGoneAt ??= base.deps.clock.now()
      return isOver(state)
    }, process)
    const closedAt = (await mine()).at(-1)?.closed_at ?? 0
    assert.ok(sawGoneAt !== null && closedAt - sawGoneAt >= world.cloud.traits.confirmGoneMs)
    assert.deepEqual(await world.faults(), [])
  })
})

test('machines with our tag that no row knows are ended by the sweep, once it has watched for the grace, and those of anybody else are never touched', async () => {
  await begin()
  await live()
  const { sky } = world.cloud
  const ours = `fd-${base.install}-nobodys`
  const taken = `fd-${base.install}-of-another-user`
  const others = ['fd-other-abc', `fd-${base.install}2-abc`, taken, 'my-training', 'sky-serve-controller']
  const process = world.process()
  const sweep = async (by = process) => {
    const loop = sweepLoop(by.deps)
    for (const claim of await by.claim(loop)) await by.pass(loop, claim)
    sky.workOn()
    base.deps.clock.pass(30_000)
  }
  await enrol(db(), 'sweep', world.cloud.name, base.deps.clock.now(), world.cloud.name)
  // The first look is clean: from here on it may act.
  await sweep()
  await world.cloud.postedByHand([ours], 'f11e4dec')
  await world.cloud.postedByHand(others)
  for (let i = 0; i < 10; i++) sky.workOn()
  assert.equal(sky.machines.size, others.length + 2)
  const justStarted = world.process()
  for (let i = 0; i < 2; i++) await sweep(justStarted)
  assert.equal(sky.machines.size, others.length + 2)
  for (let i = 0; i < 6; i++) await sweep()
  const [node] = await world.nodes()
  assert.deepEqual([...sky.machines.keys()].sort(), [...others, node?.name].sort())
  const ended = [...sky.requests.values()].filter(({ verb }) => verb === 'sky.down' || verb === 'sky.api_cancel')
  assert.ok(ended.every(({ clusterName }) => clusterName === null || clusterName === ours))
  const orphans = await db().selectFrom('orphans').select(['name', 'gone_at']).execute()
  assert.deepEqual(
    orphans.map(({ name, gone_at }) => [name, gone_at !== null]),
    [[ours, true]],
  )
  for (const name of others) sky.vanish(name)
  await world.withdraw()
  await world.untilOver()
  assert.deepEqual(await world.faults(), [])
})
