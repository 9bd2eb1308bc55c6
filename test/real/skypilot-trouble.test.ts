import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { NodeState } from '../../src/core/node-table.ts'
import { begunStream, endsAsBroken } from '../e2e/begun-stream.ts'
import { type Plane, until } from '../e2e/plane.ts'
import { type HeldProxy, heldProxy } from './held-proxy.ts'
import {
  answers,
  billIsClosed,
  comesTo,
  failuresOf,
  jobOf,
  minutes,
  nodeNameOf,
  onSlurm,
  refillOf,
  released,
  shown,
  startSkyPlane,
  statesOf,
} from './sky-plane.ts'
import { deadline, giveBackAll, jobsOfCluster, launchesAskedOf, nothingIsLeft, slurmRig } from './slurm-rig.ts'

let url: string
let proxy: HeldProxy
let plane: Plane

beforeAll(async () => {
  url = await slurmRig.up()
  proxy = await heldProxy(url)
  plane = await startSkyPlane(proxy.url, {
    scripts: { quick: {}, reclaimed: { tokensPerS: 20 }, slow: { startupMs: 600_000 } },
    // As many as the server of the rig has workers for; the next one waits in our queue.
    config: { launch: { rounds: 2, triesPerOffer: 1, firstBackOffS: 15 }, queue: { attemptsInFlight: 4 } },
  })
})
afterAll(async () => {
  await plane?.end()
  await proxy?.close()
  await slurmRig.down()
})
afterEach(async ({ task }) => {
  if (task.concurrent) return
  if (task.result?.state === 'fail') await giveBackAll(plane)
  await nothingIsLeft(url, plane)
})

test('cancelled in whatever state its node is, a launch leaves nothing and says `cancelled` only then', async () => {
  const cancelAt = ['ready', 'loading', 'booting', 'requesting'] as const
  const launches = new Map<NodeState, string>()
  for (const state of cancelAt) {
    const model = state === 'ready' ? 'quick' : 'slow'
    const { id } = await plane.launched(model, { ...onSlurm('lab/main'), deployment: `cancel-${state}` })
    launches.set(state, id)
    // The next one is not asked for before this one is: so the last finds all places taken.
    await until(
      async () => (await shown(plane, id)).state !== 'queued',
      deadline.timeout,
      () => 'never admitted',
    )
  }
  const queued = await plane.launched('quick', { ...onSlurm('lab/main'), deployment: 'cancel-queued' })
  expect(queued.state).toBe('queued')
  await plane.client.cancelLaunch({ params: { id: queued.id } })
  expect((await plane.reaches(queued.id, ['cancelled'])).attempts).toEqual([])

  await Promise.all(
    [...launches].map(async ([state, id]) => {
      await comesTo(plane, id, state)
      // The worst moment to cancel: Slurm has the job, and SkyPilot has not said so yet.
      if (state === 'requesting') await jobOf(await nodeNameOf(plane, id))
      await plane.client.cancelLaunch({ params: { id } })
      const over = await plane.reaches(id, ['cancelled', 'ended'], 5 * minutes)
      const { name, ...node } = await plane.node(over)
      // Looked at the moment that it is said.
      expect((await slurmRig.jobs()).filter((job) => job.startsWith(name))).toEqual([])
      expect(node).toMatchObject({ state: 'gone', billed: 'no' })
      const before = statesOf({ name, ...node }).filter((was) => !['draining', 'releasing', 'gone'].includes(was))
      expect(before.at(-1)).toBe(state)
      if (node.firstSeenAt !== null) billIsClosed({ name, ...node })
    }),
  )
})

test('an API server that is down when a launch is asked for and killed in its middle costs an attempt, not a machine', async () => {
  slurmRig.killServer()
  const launch = await plane.launched('quick', onSlurm('lab/main'))
  await comesTo(plane, launch.id, 'requesting')
  expect(await slurmRig.jobs()).toEqual([])
  await slurmRig.up()
  await jobOf(await nodeNameOf(plane, launch.id))
  slurmRig.killServer()
  await slurmRig.up()
  const live = await plane.reaches(launch.id, ['live'], 10 * minutes)
  expect(failuresOf(live)).toEqual(['cloud_unavailable', null])
  expect(await jobsOfCluster(url, await nodeNameOf(plane, launch.id))).toBe(1)
  await answers(plane, 'quick')
  await released(plane, live)
})

test('a control plane killed while it asks for a machine finds it again: one request, one cluster, one job', async () => {
  const asked = proxy.holdLaunch()
  const launch = await plane.launched('quick', onSlurm('lab/main'))
  await asked
  const name = await nodeNameOf(plane, launch.id)
  await plane.signal('SIGKILL')
  await jobOf(name)
  await plane.start()
  const live = await plane.reaches(launch.id, ['live'], 8 * minutes)
  expect(live.attempts).toHaveLength(1)
  expect(await launchesAskedOf(url, name)).toBe(1)
  expect(await jobsOfCluster(url, name)).toBe(1)
  await jobOf(name)
  await released(plane, live)
})

// Mostly waiting for SkyPilot, so all at once; what is left is counted after the last of them.
describe.concurrent('at the same time', () => {
  afterAll(() => nothingIsLeft(url, plane))

  test('a partition that takes nobody is left for the next one, and the refusal is told', async () => {
    await slurmRig.setPartition('main', 'down')
    try {
      const launch = await plane.launched('quick', onSlurm('lab/main', 'lab/spot'))
      const live = await plane.reaches(launch.id, ['live'], 8 * minutes)
      expect(failuresOf(live)).toEqual(['no_capacity', null])
      expect(live.attempts[0]?.failure?.cause).toContain('main')
      expect(live.attempts[0]?.costMicroUsd).toBe(0)
      expect((await plane.node(live)).offer.region).toBe('lab/spot')
      await released(plane, live)
    } finally {
      await slurmRig.setPartition('main', 'up')
    }
  })

  test('a machine that is taken away under traffic: the stream that had begun ends with an error, its bill is closed, another takes its place', async () => {
    // A model of its own: what takes the place is launched where the deployment was first wanted.
    const launch = await plane.launched('reclaimed', onSlurm('lab/spot'))
    const live = await plane.reaches(launch.id, ['live'], 5 * minutes)
    const lost = await plane.node(live)
    const job = await jobOf(lost.name)
    const body = { stream: true, max_tokens: 4_000 }
    // The job ends only after the client has seen status 200 and the first token.
    const { whole } = await begunStream(await plane.chat('reclaimed', await plane.key('under-traffic'), body))
    await slurmRig.cancelJobs([job])
    endsAsBroken(await whole)

    const over = await plane.reaches(launch.id, ['ended', 'failed'], 8 * minutes)
    const gone = await plane.node(over)
    billIsClosed(gone)
    // Slurm tells a job to end before it kills it, and the agent passes that on.
    expect(gone.failure).toMatchObject({ code: 'reclaimed' })
    const replaced = await plane.reaches((await refillOf(plane, live)).id, ['live'], 8 * minutes)
    expect((await plane.node(replaced)).name).not.toBe(lost.name)
    await released(plane, replaced)
  })
})
