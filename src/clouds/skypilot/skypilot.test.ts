import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import {
  asked,
  goes,
  newName,
  offerAt,
  process,
  refused,
  seen,
  seenAs,
  server,
  startServers,
  until,
} from '../../../test/sky-server.ts'
import type { MachineStep } from '../cloud.ts'
import { type CloudOnTrial, cloudGuarantees } from '../conformance.ts'
import type { SkyError } from './api.ts'

startServers()

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
          server.later += 5_000
          return holds()
        })
      },
    }
    await check(trial)
  })
})

describe('a launch', () => {
  test('is no machine before the cloud has made one, and a machine from then on', async () => {
    server.sky.faults.stopBefore = 'machine'
    const cloud = process()
    const name = await asked(cloud)
    await until('the row is there', async () => server.sky.clusters.has(name))
    assert.deepEqual((await seen(cloud, name))?.ask, { open: true, machine: false, refusal: null })
    server.sky.faults.stopBefore = 'up'
    await seenAs(cloud, name, { open: true, machine: true })
    server.sky.faults.stopBefore = null
    await seenAs(cloud, name, { open: false, machine: true, refusal: null })
  })

  test('tells what SkyPilot works on, as its stream says it', async () => {
    server.sky.faults.stopBefore = 'up'
    const cloud = process()
    const name = await asked(cloud)
    await until('the set-up is told', async () => {
      return (await seen(cloud, name))?.detail['step'] === 'Preparing SkyPilot runtime (3/3 - runtime)'
    })
  })

  test('tells its steps at once and each of them once, though its stream is cut in the middle of a line', async () => {
    server.sky.faults.cutStreams = 2
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
        'Launching - Checking instance status',
        'Launching - Waiting for SSH access',
        'Instance is up.',
        'Preparing SkyPilot runtime (1/3 - initializing)',
        'Preparing SkyPilot runtime (2/3 - dependencies)',
        'Preparing SkyPilot runtime (3/3 - runtime)',
        'Launching - Checking instance status',
        `Cluster launched: ${name}.  View logs: sky logs --provision ${name}`,
        'Syncing files.',
        'Syncing files',
        'Running setup',
        'Setup detached.',
        'Submitting job',
        'Job submitted, ID: 1',
      ],
    )
  })

  test('has the same places for its steps in every process, so that two which follow it tell one story', async () => {
    server.sky.faults.stopBefore = 'job'
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
    server.sky.faults.jobLines = ['unpacking', 'unpacking', 'flightdeck: fetching the agent']
    const cloud = process()
    const told: string[] = []
    cloud.onStep(({ n, text }) => n === null && told.push(text))
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: false, machine: true })
    const looksUntil = (text: string) =>
      until(text, async () => {
        server.later += 3_000
        await seen(cloud, name)
        return told.includes(text)
      })
    await looksUntil('flightdeck: fetching the agent')
    assert.ok(told.includes('The job runs'))
    server.sky.faults.jobLines = ['flightdeck: the agent of fd-x starts']
    await looksUntil('flightdeck: the agent of fd-x starts')
    assert.equal((await seen(cloud, name))?.ask?.refusal, null)
  })

  test.each([
    { of: 'whose server was looked at lately', looksMs: 0, first: ['GET /api/status', 'GET /api/status'] },
    { of: 'whose server was last looked at long ago', looksMs: 121_000, first: ['GET /api/status', 'POST /status'] },
  ])('by a process $of is posted after these calls: $first', async ({ looksMs, first }) => {
    const cloud = process()
    const offer = await offerAt(cloud, 'lab/main')
    await cloud.listMachines()
    server.later += looksMs
    const calls: string[] = []
    server.sky.onCall = ({ method, url, body }) => {
      if (!url.search.includes('request_ids')) calls.push(`${method} ${url.pathname}`)
      assert.notEqual(body['cluster_names'], null, 'a look at everything')
    }
    await cloud.answers()
    await cloud.ensureMachine({ name: newName(), offer, joinToken: 'fd_join_x' })
    const before = calls.slice(0, calls.indexOf('POST /launch')).filter((call) => call !== 'GET /api/get')
    assert.deepEqual(before.slice(-2), first)
  })

  test('without room is refused minutes after it was accepted, with the reason, and leaves nothing', async () => {
    server.sky.faults.full = new Set(['lab/main'])
    const cloud = process()
    const name = await asked(cloud)
    const refusal = await refused(cloud, name)
    assert.equal(refusal.code, 'no_capacity')
    assert.match(refusal.cause, /Failed to acquire resources in main/)
    assert.deepEqual((await seen(cloud, name))?.ask, { open: false, machine: false, refusal })
  })

  test('that failed while nobody was there is told by the next process', async () => {
    server.sky.faults.full = new Set(['lab/main'])
    const name = await asked()
    await until('it failed', async () => [...server.sky.requests.values()].some(({ status }) => status === 'FAILED'))
    assert.equal((await refused(process(), name)).code, 'no_capacity')
  })

  test('whose job cannot start the agent is refused with the last words of the job', async () => {
    server.sky.faults.jobState = 'FAILED'
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: false, machine: true })
    server.later += 3_000
    const refusal = await refused(cloud, name)
    assert.equal(refusal.code, 'node_setup_failed')
    assert.match(refusal.cause, /FAILED.*the agent cannot be fetched/)
  })

  test('is looked at after the server forgot its requests, too: its job goes on being told, and its end', async () => {
    const { sky } = server
    Object.assign(sky.faults, { jobState: 'SETTING_UP', jobLines: ['unpacking'] })
    const name = await asked()
    await until('its job sets the machine up', async () => sky.machines.get(name)?.jobs[0] === 'SETTING_UP')
    sky.restart()
    const cloud = process()
    const told: string[] = []
    cloud.onStep(({ n, text }) => n === null && told.push(text))
    await until('the job is told', async () => {
      server.later += 3_000
      await seen(cloud, name)
      return told.includes('The job sets the machine up') && told.includes('unpacking')
    })
    sky.machines.get(name)?.jobs.splice(0, 1, 'FAILED_SETUP')
    await until('its end is told', async () => {
      server.later += 3_000
      return (await seen(cloud, name))?.ask?.refusal?.code === 'node_setup_failed'
    })
  })

  test('that is called up without a job is refused: its set-up never ran, and no agent would ever join', async () => {
    server.sky.faults.noJobs = true
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: false, machine: true, refusal: null })
    await until('it is told', async () => {
      server.later += 3_000
      const refusal = (await seen(cloud, name))?.ask?.refusal
      return refusal?.code === 'node_setup_failed' && /no job was ever submitted/.test(refusal.cause)
    })
    assert.equal((await seen(cloud, name))?.ask?.machine, true, 'it is billed until it is gone')
  })

  test('that the server parks between its tries is still open, and says why it waits', async () => {
    const { sky, url } = server
    sky.faults.full = new Set(['lab/main'])
    const cloud = process()
    const name = newName()
    const body = { cluster_name: name, task: 'infra: "slurm/lab/main"', retry_until_up: true }
    await fetch(`${url}/launch`, { method: 'POST', body: JSON.stringify(body) })
    await until('it waits', async () => [...sky.requests.values()].some(({ status }) => status === 'WAITING'))
    const told = await seen(cloud, name)
    assert.deepEqual(told?.ask, { open: true, machine: false, refusal: null })
    await goes(cloud, name)
  })

  test('carries the join token as a secret, and asks for no retries without end', async () => {
    const name = await asked()
    const [body] = server.sky.posted
    assert.equal(body?.['cluster_name'], name)
    assert.equal(body?.['retry_until_up'], false)
    assert.match(String(body?.['task']), /secrets:\n {2}FD_JOIN_TOKEN: "fd_join_x"/)
  })
})

describe('a name is launched once', () => {
  const launchesOf = (name: string) => server.sky.posted.filter((body) => body['cluster_name'] === name).length

  test('when the answer was lost: the next ask finds the request', async () => {
    server.sky.faults.loseAnswers = 1
    const cloud = process()
    const name = newName()
    const offer = await offerAt(cloud, 'lab/main')
    const ask = { name, offer, joinToken: 'fd_join_x' }
    await assert.rejects(cloud.ensureMachine(ask), (error: SkyError) => error.kind === 'unreachable')
    assert.deepEqual(await cloud.ensureMachine(ask), { accepted: true })
    assert.deepEqual(await process().ensureMachine(ask), { accepted: true })
    await seenAs(cloud, name, { open: false, machine: true })
    assert.equal(launchesOf(name), 1)
    assert.deepEqual(server.sky.machines.get(name)?.jobs.length, 1)
  })

  test('when the answer was lost and the server forgot it: the name is given up, once nothing can come of it any more', async () => {
    Object.assign(server.sky.faults, { loseAnswers: 1, stopBefore: 'placing' })
    const cloud = process()
    const name = newName()
    const ask = { name, offer: await offerAt(cloud, 'lab/main'), joinToken: 'fd_join_x' }
    await assert.rejects(cloud.ensureMachine(ask), (error: SkyError) => error.kind === 'unreachable')
    server.sky.restart()
    const askedAt = Date.now()
    const again = (later = process()) => later.ensureMachine({ ...ask, askedAt })
    await assert.rejects(again(cloud), /not known whether/)
    server.later += cloud.traits.askLimitMs
    for (const one of [cloud, process()]) {
      const answer = await again(one)
      assert.equal(answer.accepted ? '' : answer.refusal.code, 'cloud_unavailable')
    }
    assert.equal(launchesOf(name), 1)
  })

  test('when the server was restarted and only the cluster is left', async () => {
    server.sky.faults.stopBefore = 'runtime'
    const name = await asked()
    await until('the machine runs', async () => server.sky.machines.has(name))
    server.sky.restart()
    await asked(process(), name)
    assert.equal(launchesOf(name), 1)
  })

  test('when it was refused: the refusal is told again', async () => {
    server.sky.faults.full = new Set(['lab/main'])
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
      server.sky.faults.stopBefore = stopBefore
      const cloud = process()
      const name = await asked(cloud)
      await until(
        'the launch rests there',
        async () =>
          [...server.sky.requests.values()].some(({ status }) => status === 'RUNNING') || stopBefore === 'placing',
      )
      await cloud.ensureGone(name)
      server.sky.faults.stopBefore = null
      await goes(cloud, name)
    },
  )

  test('is posted once, however often it is asked for', async () => {
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: false })
    for (let i = 0; i < 5; i++) await cloud.ensureGone(name)
    const downs = [...server.sky.requests.values()].filter(({ verb }) => verb === 'sky.down')
    assert.equal(downs.length, 1)
  })

  test('never touches the machine of another install', async () => {
    await assert.rejects(process().ensureGone('fd-other-abc'), /not a machine of this install/)
  })
})
