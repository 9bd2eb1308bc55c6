import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { NodeState } from '../../src/core/node-table.ts'
import { nodeStates } from '../../src/core/node-table.ts'
import { buildAgent } from '../../src/main/build.ts'
import { projectRoot } from '../../src/main/config.ts'
import type { LaunchDetail, LaunchView, NodeDetail } from '../../src/wire/views.ts'
import { startMirror } from '../bare-machine.ts'
import { begunStream, endsAsBroken } from '../e2e/begun-stream.ts'
import { type Plane, until } from '../e2e/plane.ts'
import { type HeldProxy, heldProxy } from './held-proxy.ts'
import { answers, billIsClosed, failuresOf, onSlurm, startSkyPlane } from './sky-plane.ts'
import {
  clustersAt,
  deadline,
  giveBackAll,
  jobsOfCluster,
  launchesAskedOf,
  nothingIsLeft,
  slurmRig,
} from './slurm-rig.ts'

const minutes = 60_000

let url: string
let proxy: HeldProxy
let plane: Plane

beforeAll(async () => {
  url = await slurmRig.up()
  proxy = await heldProxy(url)
  plane = await startSkyPlane(proxy.url, {
    scripts: { quick: {}, streamed: { tokensPerS: 20 }, reclaimed: { tokensPerS: 20 }, slow: { startupMs: 600_000 } },
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

const shown = (id: string): Promise<LaunchDetail> => plane.client.showLaunch({ params: { id } })

async function released({ id }: LaunchDetail): Promise<void> {
  await plane.client.cancelLaunch({ params: { id } })
  const over = await plane.reaches(id, ['ended', 'cancelled'], 4 * minutes)
  billIsClosed(await plane.node(over))
}

/** Waits until the launch's newest node is in this state, and refuses one that has gone past it. */
async function comesTo(id: string, state: NodeState): Promise<void> {
  let now: NodeState = 'intended'
  const arrived = async () => {
    now = (await shown(id)).attempts.at(-1)?.nodeState ?? 'intended'
    return nodeStates.indexOf(now) >= nodeStates.indexOf(state)
  }
  await until(arrived, 5 * minutes, () => `the node never came to ${state}`)
  expect(now).toBe(state)
}

/** The states that a node was in, in their order, as its timeline tells them. */
const statesOf = ({ timeline }: NodeDetail) =>
  timeline
    .map(({ kind }) => kind.replace('node.', ''))
    .filter((kind) => (nodeStates as readonly string[]).includes(kind))

/** The launch by which the launch's deployment replaces it. */
async function refillOf({ deploymentId, id }: LaunchDetail): Promise<LaunchView> {
  const later = async () => {
    const { items } = await plane.client.listLaunches({})
    const others = items.filter((one) => one.deploymentId === deploymentId && one.id !== id)
    return others.find(({ origin, actions }) => origin === 'deployment' && actions.length > 0)
  }
  return vi.waitFor(async () => {
    const found = await later()
    if (!found) throw new Error('nothing takes its place')
    return found
  }, deadline)
}

const nodeNameOf = async (id: string): Promise<string> => (await shown(id)).attempts.at(-1)?.nodeName ?? ''

/** The one job of a node, as soon as there is one. */
async function jobOf(nodeName: string): Promise<string> {
  const jobs = async () => (await slurmRig.jobs()).filter((job) => job.startsWith(nodeName))
  await vi.waitFor(async () => expect(await jobs()).toHaveLength(1), deadline)
  return (await jobs())[0] ?? ''
}

test('cancelled in whatever state its node is, a launch leaves nothing and says `cancelled` only then', async () => {
  const cancelAt = ['ready', 'loading', 'booting', 'requesting'] as const
  const launches = new Map<NodeState, string>()
  for (const state of cancelAt) {
    const model = state === 'ready' ? 'quick' : 'slow'
    const { id } = await plane.launched(model, { ...onSlurm('lab/main'), deployment: `cancel-${state}` })
    launches.set(state, id)
    // The next one is not asked for before this one is: so the last finds all places taken.
    await until(
      async () => (await shown(id)).state !== 'queued',
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
      await comesTo(id, state)
      // The worst moment to cancel: Slurm has the job, and SkyPilot has not said so yet.
      if (state === 'requesting') await jobOf(await nodeNameOf(id))
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

test('cancelled while its machine is asked for, before the server has answered, a launch makes none and costs nothing', async () => {
  const asked = proxy.holdLaunch()
  const { id } = await plane.launched('quick', onSlurm('lab/main'))
  const passOn = await asked
  const name = await nodeNameOf(id)
  expect((await clustersAt(url)).map((cluster) => cluster.name)).not.toContain(name)
  await plane.client.cancelLaunch({ params: { id } })
  passOn()
  const over = await plane.reaches(id, ['cancelled', 'ended'], 4 * minutes)
  expect(over).toMatchObject({ state: 'cancelled', costMicroUsd: 0 })
  expect(over.attempts).toHaveLength(1)
  expect((await clustersAt(url)).map((cluster) => cluster.name)).not.toContain(name)
  expect((await slurmRig.jobs()).filter((job) => job.startsWith(name))).toEqual([])
  expect(await plane.node(over)).toMatchObject({ state: 'gone', billed: 'no', costMicroUsd: 0 })
  expect(await launchesAskedOf(url, name)).toBe(1)
})

test('cancelled while it drains, a launch ends when its last stream has; cancelled between two tries, at once', async () => {
  const live = await plane.reaches((await plane.launched('streamed', onSlurm('lab/main'))).id, ['live'], 5 * minutes)
  const body = { stream: true, max_tokens: 1_000 }
  const stream = (await plane.chat('streamed', await plane.key('drained'), body)).text()
  const { id, name } = await plane.node(live)
  await plane.client.drainNode({ params: { id } })
  await comesTo(live.id, 'draining')
  // Asked before the cancel, which lowers what the deployment wants: nobody wants the other machine any more either.
  const { id: next } = await refillOf(live)
  for (const unwanted of [live.id, next]) await plane.client.cancelLaunch({ params: { id: unwanted } })
  expect((await stream).trimEnd().endsWith('data: [DONE]')).toBe(true)

  const over = await plane.reaches(live.id, ['ended', 'cancelled'], 4 * minutes)
  expect((await slurmRig.jobs()).filter((job) => job.startsWith(name))).toEqual([])
  billIsClosed(await plane.node(over))
  await plane.reaches(next, ['cancelled'], 4 * minutes)

  await slurmRig.setPartition('main', 'down')
  try {
    const refused = await plane.launched('quick', onSlurm('lab/main'))
    await plane.reaches(refused.id, ['backing_off'], 5 * minutes)
    await plane.client.cancelLaunch({ params: { id: refused.id } })
    const cancelled = await plane.reaches(refused.id, ['cancelled'], deadline.timeout)
    expect(failuresOf(cancelled)).toEqual(['no_capacity'])
    expect(cancelled.costMicroUsd).toBe(0)
  } finally {
    await slurmRig.setPartition('main', 'up')
  }
})

test('an API server that is down when a launch is asked for and killed in its middle costs an attempt, not a machine', async () => {
  slurmRig.killServer()
  const launch = await plane.launched('quick', onSlurm('lab/main'))
  await comesTo(launch.id, 'requesting')
  expect(await slurmRig.jobs()).toEqual([])
  await slurmRig.up()
  await jobOf(await nodeNameOf(launch.id))
  slurmRig.killServer()
  await slurmRig.up()
  const live = await plane.reaches(launch.id, ['live'], 10 * minutes)
  expect(failuresOf(live)).toEqual(['cloud_unavailable', null])
  expect(await jobsOfCluster(url, await nodeNameOf(launch.id))).toBe(1)
  await answers(plane, 'quick')
  await released(live)
})

test('a control plane killed while it asks for a machine finds it again: one request, one cluster, one job', async () => {
  const asked = proxy.holdLaunch()
  const launch = await plane.launched('quick', onSlurm('lab/main'))
  await asked
  const name = await nodeNameOf(launch.id)
  await plane.signal('SIGKILL')
  await jobOf(name)
  await plane.start()
  const live = await plane.reaches(launch.id, ['live'], 8 * minutes)
  expect(live.attempts).toHaveLength(1)
  expect(await launchesAskedOf(url, name)).toBe(1)
  expect(await jobsOfCluster(url, name)).toBe(1)
  await jobOf(name)
  await released(live)
})

const agents = join(projectRoot, 'dist', 'agent')
/** Serves what was built, with other bytes in the loop. */
const altering = () =>
  startMirror((path) => {
    const file = readFileSync(join(agents, path))
    return path.endsWith('loop.sh') ? Buffer.concat([file, Buffer.from('# another line\n')]) : file
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
      await released(live)
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
    const replaced = await plane.reaches((await refillOf(live)).id, ['live'], 8 * minutes)
    expect((await plane.node(replaced)).name).not.toBe(lost.name)
    await released(replaced)
  })

  test('a task that its cloud cannot do is refused in plain words, and nothing was paid for', async () => {
    const strict = await startSkyPlane(url, { scripts: { quick: {} }, slurm: { image: 'docker:somebody/something' } })
    try {
      const launch = await strict.launched('quick', onSlurm('lab/spot'))
      const failed = await strict.reaches(launch.id, ['failed'], 8 * minutes)
      expect(failed.failure).toMatchObject({
        code: 'cloud_refused',
        cause: expect.stringContaining('does not support'),
      })
      expect(await strict.node(failed)).toMatchObject({ state: 'gone', costMicroUsd: 0 })
      await nothingIsLeft(url, strict)
    } finally {
      await strict.end()
    }
  })

  test('a machine that is served other bytes than announced runs none of them: its set-up fails, says so, and it is given back', async () => {
    const mirror = await altering()
    const strict = await startSkyPlane(url, { scripts: { quick: {} }, agentMirror: mirror.url })
    try {
      const launch = await strict.launched('quick', onSlurm('lab/spot'))
      const failed = await strict.reaches(launch.id, ['failed'], 8 * minutes)
      const cause = expect.stringMatching(/loop\.sh is not what was announced: wrong checksum/)
      expect(failed.failure).toMatchObject({ code: 'agent_altered', cause })
      expect(mirror.asked).toContain('loop.sh')
      billIsClosed(await strict.node(failed))
      await nothingIsLeft(url, strict)
    } finally {
      await strict.end()
      await mirror.close()
    }
  })

  test('a machine without Node gets the executable, also past a mirror that is down, and serves', async () => {
    await buildAgent(projectRoot, { executables: ['linux-x64'] })
    const bare = { nodeBin: '/nowhere/node' }
    const strict = await startSkyPlane(url, { scripts: { quick: {} }, slurm: bare, agentMirror: 'http://127.0.0.1:9' })
    try {
      const launch = await strict.launched('quick', onSlurm('lab/spot'))
      const live = await strict.reaches(launch.id, ['live'], 8 * minutes)
      await answers(strict, 'quick')
      await strict.client.cancelLaunch({ params: { id: live.id } })
      billIsClosed(await strict.node(await strict.reaches(live.id, ['cancelled'], 4 * minutes)))
      await nothingIsLeft(url, strict)
    } finally {
      await strict.end()
    }
  })
})

test('a machine that nobody speaks to any more ends itself, its allocation with it, and is found to be gone', async () => {
  const forgotten = await startSkyPlane(url, { scripts: { quick: {} }, config: { leaseS: 20 } })
  try {
    const live = await forgotten.reaches(
      (await forgotten.launched('quick', onSlurm('lab/main'))).id,
      ['live'],
      5 * minutes,
    )
    const { name } = await forgotten.node(live)
    await forgotten.signal('SIGTERM')
    // Nobody asks SkyPilot for its end: Slurm has no job of the name because the machine gave itself back.
    await vi.waitFor(
      async () => expect((await slurmRig.jobs()).filter((job) => job.startsWith(name))).toEqual([]),
      deadline,
    )
    await forgotten.start()
    const over = await forgotten.reaches(live.id, ['ended', 'failed'], 8 * minutes)
    billIsClosed(await forgotten.node(over))
    for (const { id, actions } of (await forgotten.client.listLaunches({})).items)
      if (actions.length > 0) await forgotten.client.cancelLaunch({ params: { id } })
    await nothingIsLeft(url, forgotten)
  } finally {
    await forgotten.end()
  }
})
