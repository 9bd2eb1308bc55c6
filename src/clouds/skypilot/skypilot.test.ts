import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test, vi } from 'vitest'
import type { CloudTraits } from '../../core/decide-node.ts'
import type { Offer } from '../../core/offer.ts'
import { randomName } from '../../lib/chance.ts'
import { systemClock } from '../../lib/clock.ts'
import { SimSkyPilot } from '../../sim/skypilot.ts'
import type { AskSeen, ListedMachine, MachineStep } from '../cloud.ts'
import { type CloudOnTrial, cloudGuarantees } from '../conformance.ts'
import { SkyApi, type SkyError } from './api.ts'
import { SkyLaunches } from './launches.ts'
import { SkyCloud } from './skypilot.ts'

const deadline = { timeout: 10_000, interval: 10 }
const prefix = 'fd-tests-'
const traits: CloudTraits = {
  confirmGoneMs: 100,
  listingLagMs: 100,
  askLimitMs: 1_000,
  requestLimitMs: 10_000,
  bootLimitMs: 10_000,
  loadLimitMs: 10_000,
  drainLimitMs: 1_000,
  lookMs: 1_000,
  lookFastMs: 50,
}
const download = { url: 'http://127.0.0.1:1/file', sha256: '0'.repeat(64) }
const task = {
  controlUrl: 'http://127.0.0.1:1',
  controlFingerprint: null,
  agent: download,
  loop: download,
  nodeBin: 'node',
  cpus: null,
  memoryGib: null,
  diskGib: null,
  image: null,
  directPort: null,
}

let sky: SimSkyPilot
let url: string
let open: SkyLaunches[]
/** Added to the clock: what is waited for in minutes has passed. */
let later = 0
const clock = {
  ...systemClock,
  now: () => systemClock.now() + later,
  monotonicMs: () => systemClock.monotonicMs() + later,
}

beforeEach(async () => {
  later = 0
  open = []
  sky = new SimSkyPilot()
  url = await sky.start()
})
afterEach(async () => {
  for (const launches of open) launches.close()
  await sky.stop()
})

/** A control plane's process: another one knows nothing of what this one has seen. */
function process(): SkyCloud {
  const api = new SkyApi({ url, userId: 'f11e4dec', command: 'flightdeck tests' })
  const launches = new SkyLaunches(api, clock, prefix)
  open.push(launches)
  return new SkyCloud({ api, launches, clock, cloud: 'slurm', task, regions: [], gpus: [], spot: true, traits })
}

const newName = () => prefix + randomName(6)

async function offerAt(cloud: SkyCloud, region: string): Promise<Offer> {
  const found = (await cloud.offers()).find((offer) => offer.region === region)
  assert.ok(found)
  return found
}

async function asked(cloud = process(), name = newName(), region = 'lab/main'): Promise<string> {
  const answer = await cloud.ensureMachine({ name, offer: await offerAt(cloud, region), joinToken: 'fd_join_x' })
  assert.deepEqual(answer, { accepted: true })
  return name
}

const until = (what: string, holds: () => Promise<boolean>) =>
  vi.waitFor(async () => assert.ok(await holds(), what), deadline)

async function seen(cloud: SkyCloud, name: string): Promise<ListedMachine | undefined> {
  return (await cloud.listMachines()).find((one) => one.name === name)
}

async function seenAs(cloud: SkyCloud, name: string, wanted: Partial<AskSeen>): Promise<AskSeen> {
  let ask: AskSeen | undefined
  await until(`${name} is ${JSON.stringify(wanted)}`, async () => {
    ask = (await seen(cloud, name))?.ask
    return Object.entries(wanted).every(([key, value]) => ask?.[key as keyof AskSeen] === value)
  })
  return ask as AskSeen
}

async function refused(cloud: SkyCloud, name: string): Promise<NonNullable<AskSeen['refusal']>> {
  await until(`${name} is refused`, async () => Boolean((await seen(cloud, name))?.ask?.refusal))
  const refusal = (await seen(cloud, name))?.ask?.refusal
  assert.ok(refusal)
  return refusal
}

/** As the node loop does it: asked for until nothing is there any more. */
async function goes(cloud: SkyCloud, name: string): Promise<void> {
  await until(`${name} is gone`, async () => {
    await cloud.ensureGone(name)
    // Two ends within a moment are one; the loop comes back later.
    later += 5_000
    const ask = (await seen(cloud, name))?.ask
    return !ask || !(ask.machine || ask.open)
  })
  assert.equal(sky.machines.has(name), false, 'a machine is left running')
}

describe('a cloud of SkyPilot keeps what every cloud promises', () => {
  test.each(cloudGuarantees)('$title', async ({ check }) => {
    const cloud = process()
    const offer = await offerAt(cloud, 'lab/main')
    const trial: CloudOnTrial = {
      cloud,
      offer,
      newName,
      until: async (what, holds) => {
        await until(what, () => {
          later += 5_000
          return holds()
        })
      },
    }
    await check(trial)
  })
})

describe('a launch', () => {
  test('is no machine before the cloud has made one, and a machine from then on', async () => {
    sky.faults.stopBefore = 'machine'
    const cloud = process()
    const name = await asked(cloud)
    await until('the row is there', async () => sky.clusters.has(name))
    assert.deepEqual((await seen(cloud, name))?.ask, { open: true, machine: false, refusal: null })
    sky.faults.stopBefore = 'up'
    await seenAs(cloud, name, { open: true, machine: true })
    sky.faults.stopBefore = null
    await seenAs(cloud, name, { open: false, machine: true, refusal: null })
  })

  test('tells what SkyPilot works on, as its stream says it', async () => {
    sky.faults.stopBefore = 'up'
    const cloud = process()
    const name = await asked(cloud)
    await until('the set-up is told', async () => {
      return (await seen(cloud, name))?.detail['step'] === 'Preparing SkyPilot runtime (2/3 - dependencies)'
    })
  })

  test('tells its steps at once and each of them once, though its stream is cut in the middle of a line', async () => {
    sky.faults.cutStreams = 2
    const cloud = process()
    const told: MachineStep[] = []
    cloud.onStep((step) => told.push(step))
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: false, machine: true })
    await until('the last step is told', async () => told.some(({ text }) => text === 'Job submitted, ID: 1'))
    assert.deepEqual(
      told.filter(({ n }) => n !== null).map(({ text }) => text),
      [
        'Optimizing',
        'Launching',
        'Launching on Slurm lab (main).',
        'Launching - Waiting for SSH access',
        'Instance is up.',
        'Preparing SkyPilot runtime (2/3 - dependencies)',
        `Cluster launched: ${name}.`,
        'Submitting job',
        'Job submitted, ID: 1',
      ],
    )
  })

  test('has the same places for its steps in every process, so that two which follow it tell one story', async () => {
    sky.faults.stopBefore = 'job'
    const first: MachineStep[] = []
    const second: MachineStep[] = []
    const [cloud, other] = [process(), process()]
    cloud.onStep((step) => first.push(step))
    other.onStep((step) => second.push(step))
    const name = await asked(cloud)
    await until('both heard the same', async () => {
      await seen(other, name)
      return first.some(({ text }) => text === 'Submitting job') && second.length >= first.length
    })
    const placed = (steps: MachineStep[]) => steps.filter(({ n }) => n !== null)
    assert.deepEqual(placed(second), placed(first))
  })

  test('is not silent while its job sets the machine up: its state and its last line are told, until the agent speaks', async () => {
    sky.faults.jobLines = ['unpacking', 'unpacking', 'flightdeck: fetching the agent']
    const cloud = process()
    const told: string[] = []
    cloud.onStep(({ n, text }) => n === null && told.push(text))
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: false, machine: true })
    const looksUntil = (text: string) =>
      until(text, async () => {
        later += 3_000
        await seen(cloud, name)
        return told.includes(text)
      })
    await looksUntil('flightdeck: fetching the agent')
    assert.ok(told.includes('The job runs'))
    sky.faults.jobLines = ['flightdeck: the agent of fd-x starts']
    await looksUntil('flightdeck: the agent of fd-x starts')
    assert.equal((await seen(cloud, name))?.ask?.refusal, null)
  })

  test('without room is refused minutes after it was accepted, with the reason, and leaves nothing', async () => {
    sky.faults.full = new Set(['lab/main'])
    const cloud = process()
    const name = await asked(cloud)
    const refusal = await refused(cloud, name)
    assert.equal(refusal.code, 'no_capacity')
    assert.match(refusal.cause, /Failed to acquire resources in main/)
    assert.deepEqual((await seen(cloud, name))?.ask, { open: false, machine: false, refusal })
  })

  test('that failed while nobody was there is told by the next process', async () => {
    sky.faults.full = new Set(['lab/main'])
    const name = await asked()
    await until('it failed', async () => [...sky.requests.values()].some(({ status }) => status === 'FAILED'))
    assert.equal((await refused(process(), name)).code, 'no_capacity')
  })

  test('whose job cannot start the agent is refused with the last words of the job', async () => {
    sky.faults.jobsFail = true
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: false, machine: true })
    later += 3_000
    const refusal = await refused(cloud, name)
    assert.equal(refusal.code, 'node_setup_failed')
    assert.match(refusal.cause, /FAILED.*the agent cannot be fetched/)
  })

  test('carries the join token as a secret, and asks for no retries without end', async () => {
    const name = await asked()
    const [body] = sky.posted
    assert.equal(body?.['cluster_name'], name)
    assert.equal(body?.['retry_until_up'], false)
    assert.match(String(body?.['task']), /secrets:\n {2}FD_JOIN_TOKEN: "fd_join_x"/)
  })
})

describe('a name is launched once', () => {
  const launchesOf = (name: string) => sky.posted.filter((body) => body['cluster_name'] === name).length

  test('when the answer was lost: the next ask finds the request', async () => {
    sky.faults.loseAnswers = 1
    const cloud = process()
    const name = newName()
    const offer = await offerAt(cloud, 'lab/main')
    const ask = { name, offer, joinToken: 'fd_join_x' }
    await assert.rejects(cloud.ensureMachine(ask), (error: SkyError) => error.kind === 'unreachable')
    assert.deepEqual(await cloud.ensureMachine(ask), { accepted: true })
    assert.deepEqual(await process().ensureMachine(ask), { accepted: true })
    await seenAs(cloud, name, { open: false, machine: true })
    assert.equal(launchesOf(name), 1)
    assert.deepEqual(sky.machines.get(name)?.jobs.length, 1)
  })

  test('when the server was restarted and only the cluster is left', async () => {
    sky.faults.stopBefore = 'runtime'
    const name = await asked()
    await until('the machine runs', async () => sky.machines.has(name))
    sky.restart()
    await asked(process(), name)
    assert.equal(launchesOf(name), 1)
  })

  test('when it was refused: the refusal is told again', async () => {
    sky.faults.full = new Set(['lab/main'])
    const cloud = process()
    const name = await asked(cloud)
    await refused(cloud, name)
    const answer = await process().ensureMachine({ name, offer: await offerAt(cloud, 'lab/main'), joinToken: 't' })
    assert.equal(answer.accepted ? '' : answer.refusal.code, 'no_capacity')
    assert.equal(launchesOf(name), 1)
  })
})

describe('an end', () => {
  test.each(['placing', 'row', 'machine', 'runtime', 'up', 'job'] as const)(
    'that is asked for before the step "%s" leaves nothing running',
    async (stopBefore) => {
      sky.faults.stopBefore = stopBefore
      const cloud = process()
      const name = await asked(cloud)
      await until(
        'the launch rests there',
        async () => [...sky.requests.values()].some(({ status }) => status === 'RUNNING') || stopBefore === 'placing',
      )
      await cloud.ensureGone(name)
      sky.faults.stopBefore = null
      await goes(cloud, name)
    },
  )

  test('is posted once, however often it is asked for', async () => {
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: false })
    for (let i = 0; i < 5; i++) await cloud.ensureGone(name)
    const downs = [...sky.requests.values()].filter(({ verb }) => verb === 'sky.down')
    assert.equal(downs.length, 1)
  })

  test('never touches the machine of another install', async () => {
    await assert.rejects(process().ensureGone('fd-other-abc'), /not a machine of this install/)
  })
})

describe('a server that was restarted in the middle of a launch', () => {
  test('is told as such where nothing was made yet', async () => {
    sky.faults.stopBefore = 'row'
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: true })
    sky.restart()
    assert.equal((await refused(cloud, name)).code, 'cloud_unavailable')
  })

  test('is not believed when it says "up": no job was ever submitted', async () => {
    sky.faults.stopBefore = 'up'
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: true, machine: true })
    sky.restart()
    sky.claimUp(name)
    assert.match((await refused(cloud, name)).cause, /restarted in the middle/)
    assert.equal((await seen(cloud, name))?.ask?.machine, true)
    await goes(cloud, name)
  })

  test('takes nothing from a machine whose launch had ended well', async () => {
    const cloud = process()
    const name = await asked(cloud)
    await until('its job runs', async () => sky.machines.get(name)?.jobs.length === 1)
    sky.restart()
    assert.deepEqual(await seenAs(cloud, name, { open: false }), { open: false, machine: true, refusal: null })
  })
})

describe('the server', () => {
  test('that answers nothing has said nothing: a look fails, and lists no empty cloud', async () => {
    const cloud = process()
    await asked(cloud)
    await sky.stop()
    await assert.rejects(cloud.listMachines(), (error: SkyError) => error.kind === 'unreachable')
  })

  test('that is not ready refuses for now, and nothing was taken', async () => {
    const cloud = process()
    const offer = await offerAt(cloud, 'lab/main')
    const name = newName()
    sky.faults.busy = 1
    await assert.rejects(
      cloud.ensureMachine({ name, offer, joinToken: 't' }),
      (error: SkyError) => error.kind === 'busy',
    )
    assert.equal(sky.posted.length, 0)
  })

  test.each([
    ['All nodes terminated, cleaning up the cluster.', /its cloud took it away/],
    ['Cluster was terminated by user.', /somebody ended it/],
    ['Cluster was autodowned (idle timeout).', /idle/],
    ['Something that nobody has seen before.', /does not say why/],
  ])('that lost a machine ("%s") lists none any more, and says who ended it', async (event, why) => {
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: false, machine: true })
    sky.vanish(name, event)
    const gone = await seen(cloud, name)
    assert.deepEqual(gone?.ask, { open: false, machine: false, refusal: null })
    assert.match(gone?.ended ?? '', why)
  })
})
