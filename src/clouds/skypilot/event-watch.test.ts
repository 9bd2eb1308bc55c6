import assert from 'node:assert/strict'
import { test } from 'vitest'
import { asked, process, seen, seenAs, server, startServers, until } from '../../../test/sky-server.ts'
import type { MachineStep } from '../cloud.ts'
import { readFinished } from './api-answers.ts'
import { recordedJson } from './recorded-for-tests.ts'

startServers()

const eventCalls = () => [...server.sky.requests.values()].filter(({ verb }) => verb === 'sky.cluster_events').length
const recordedEvents = () =>
  (readFinished(recordedJson('api_get.cluster_events.SUCCEEDED.http200.json')).value as { reason: string }[]).map(
    ({ reason }) => reason,
  )

function heardBy(cloud: ReturnType<typeof process>): MachineStep[] {
  const told: MachineStep[] = []
  cloud.onStep((step) => told.push(step))
  return told
}

/** A launch that has come to a step of its own, and rests there. */
async function restingAt(cloud: ReturnType<typeof process>, stopBefore: 'runtime' | 'job'): Promise<string> {
  server.sky.faults.stopBefore = stopBefore
  const name = await asked(cloud)
  const last = { runtime: 'Instances launched on slurm in lab', job: 'Cluster successfully provisioned with 1 nodes' }
  await until('it rests', async () => server.sky.clusters.get(name)?.lastEvent === last[stopBefore])
  return name
}

test('a launch whose stream says nothing is told by what happened to its cluster, each once, in the order of the record', async () => {
  server.sky.faults.muteStreams = true
  const cloud = process()
  const told = heardBy(cloud)
  const name = await restingAt(cloud, 'job')
  await seen(cloud, name)
  assert.deepEqual(told, [], 'a stream has its time to speak')
  server.later += 10_000
  await until('all is told', async () => {
    await seen(cloud, name)
    return told.length >= recordedEvents().length
  })
  for (let i = 0; i < 5; i++) {
    server.later += 10_000
    await seen(cloud, name)
  }
  assert.deepEqual(
    told.map(({ text }) => text),
    recordedEvents(),
  )
  assert.equal((await seen(cloud, name))?.detail['step'], recordedEvents().at(-1))
  assert.equal(eventCalls(), 1, 'nothing new, nothing asked')
})

test('another process gives them the same places, so that two which follow a launch tell one story', async () => {
  server.sky.faults.muteStreams = true
  const clouds = [process(), process()]
  const [first, second] = clouds.map(heardBy)
  const name = await restingAt(clouds[0] as ReturnType<typeof process>, 'job')
  for (const cloud of clouds) await seen(cloud, name)
  server.later += 10_000
  await until('both told', async () => {
    for (const cloud of clouds) await seen(cloud, name)
    return first?.length === recordedEvents().length && second?.length === first.length
  })
  assert.deepEqual(first, second)
})

test('what a stream has told itself is not told again, and nobody asks for it', async () => {
  const cloud = process()
  const told = heardBy(cloud)
  const name = await restingAt(cloud, 'runtime')
  await until('the stream tells it', async () => {
    await seen(cloud, name)
    return told.some(({ text }) => text === 'Instance is up.')
  })
  server.later += 60_000
  await seen(cloud, name)
  assert.equal(eventCalls(), 0)
  assert.ok(told.every(({ text }) => !text.startsWith('Instances launched')))
})

test('a stream that fell silent is helped from where it was, and speaks for itself again later', async () => {
  const cloud = process()
  const told = heardBy(cloud)
  const name = await restingAt(cloud, 'runtime')
  await until('the stream tells it', async () => {
    await seen(cloud, name)
    return told.some(({ text }) => text === 'Instance is up.')
  })
  Object.assign(server.sky.faults, { muteStreams: true, stopBefore: 'job' })
  await until('it goes on', async () => server.sky.clusters.get(name)?.status === 'UP')
  const before = told.length
  server.later += 10_000
  await until('the events are told', async () => {
    await seen(cloud, name)
    return told.length > before
  })
  const helped = told.slice(before).map(({ text }) => text)
  assert.equal(helped[0], 'Setting up SkyPilot runtime on cluster')
  assert.ok(!helped.includes('Instances launched on slurm in lab'))
  Object.assign(server.sky.faults, { muteStreams: false, stopBefore: null })
  await seenAs(cloud, name, { open: false, machine: true })
  await until('the stream is back', async () => told.some(({ text }) => text === 'Job submitted, ID: 1'))
})

test('events that cannot be read cost nothing: they are asked for again, and not at every look', async () => {
  server.sky.faults.muteStreams = true
  const cloud = process()
  const told = heardBy(cloud)
  const name = await restingAt(cloud, 'job')
  await seen(cloud, name)
  server.later += 10_000
  server.sky.onCall = ({ url }) => {
    if (url.pathname === '/cluster_events') server.sky.faults.busy = 1
  }
  for (let i = 0; i < 5; i++) await seen(cloud, name)
  server.sky.onCall = null
  assert.equal(told.length, 0)
  server.later += 10_000
  await until('all is told', async () => {
    await seen(cloud, name)
    return told.length === recordedEvents().length
  })
})
