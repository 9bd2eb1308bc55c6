import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { buildAgent } from '../../src/main/build.ts'
import { projectRoot } from '../../src/main/config.ts'
import { startMirror } from '../bare-machine.ts'
import { type Plane, scriptedEngine } from '../e2e/plane.ts'
import { type HeldProxy, heldProxy } from './held-proxy.ts'
import {
  answers,
  billIsClosed,
  comesTo,
  failuresOf,
  minutes,
  nodeNameOf,
  onSlurm,
  refillOf,
  startSkyPlane,
} from './sky-plane.ts'
import { clustersAt, deadline, giveBackAll, launchesAskedOf, nothingIsLeft, slurmRig } from './slurm-rig.ts'

let url: string
let proxy: HeldProxy
let plane: Plane

beforeAll(async () => {
  url = await slurmRig.up()
  proxy = await heldProxy(url)
  plane = await startSkyPlane(proxy.url, {
    scripts: { quick: {}, streamed: { tokensPerS: 20 } },
    config: { launch: { rounds: 2, triesPerOffer: 1, firstBackOffS: 15 } },
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

test('cancelled while its machine is asked for, before the server has answered, a launch makes none and costs nothing', async () => {
  const asked = proxy.holdLaunch()
  const { id } = await plane.launched('quick', onSlurm('lab/main'))
  const passOn = await asked
  const name = await nodeNameOf(plane, id)
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
  await comesTo(plane, live.id, 'draining')
  // Asked before the cancel, which lowers what the deployment wants: nobody wants the other machine any more either.
  const { id: next } = await refillOf(plane, live)
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

  test('a task that its cloud cannot do is refused in plain words, and nothing was paid for', async () => {
    const strict = await startSkyPlane(url, { scripts: { quick: {} }, slurm: { image: 'docker:somebody/something' } })
    try {
      const launch = await strict.launched('quick', onSlurm('lab/spot'))
      const failed = await strict.reaches(launch.id, ['failed'], 8 * minutes)
      expect(failed.failure).toMatchObject({
        code: 'task_refused',
        cause: expect.stringContaining('does not support'),
      })
      expect(failed.attempts).toHaveLength(1)
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

/** By the uv that SkyPilot brought. While `hold` is there it installs for ever, one process in a session of its own. */
function shortRecipe(hold: string) {
  const engine = [
    `if [ -e '${hold}' ]; then setsid tail -f /dev/null & tail -f /dev/null; fi`,
    `printf '#!/bin/sh\\nexec ${scriptedEngine.join(' ')} "$@"\\n' >"$ENGINE_HOME/bin/serve"`,
    `chmod 755 "$ENGINE_HOME/bin/serve"`,
  ].join('\n')
  const venv = ['uv', 'venv', '--no-project', '--offline', '--allow-existing', '{env}']
  const stages = [
    { stage: 'python', title: 'Python environment', commands: [venv] },
    { stage: 'engine', title: 'an engine', commands: [['sh', '-c', engine]], env: { ENGINE_HOME: '{env}' } },
  ]
  return { engine: 'vllm', command: ['{env}/bin/serve'], stages }
}

test('a machine that installs its engine first shows the stages and serves; cancelled in one of them it leaves no installer', async () => {
  const home = mkdtempSync(join(tmpdir(), 'fd-hold-'))
  const hold = join(home, 'hold')
  writeFileSync(hold, '')
  const installing = await startSkyPlane(url, {
    scripts: { installed: { engine: 'vllm' } },
    slurm: { recipe: 'short' },
    config: { recipes: { short: shortRecipe(hold) } },
  })
  try {
    const held = await installing.launched('installed', onSlurm('lab/main'))
    const phaseOf = async (id: string) => (await installing.client.showLaunch({ params: { id } })).phase
    await vi.waitFor(async () => expect(await phaseOf(held.id)).toBe('engine_install'), deadline)
    await installing.client.cancelLaunch({ params: { id: held.id } })
    billIsClosed(await installing.node(await installing.reaches(held.id, ['cancelled'], 4 * minutes)))
    await nothingIsLeft(url, installing)

    rmSync(hold)
    const launch = await installing.launched('installed', onSlurm('lab/main'))
    const live = await installing.reaches(launch.id, ['live'], 8 * minutes)
    const phases = live.phases.map(({ phase }) => phase)
    expect(phases).toEqual(expect.arrayContaining(['joined', 'python_install', 'engine_install', 'engine_start']))
    await answers(installing, 'installed')
    await installing.client.cancelLaunch({ params: { id: live.id } })
    billIsClosed(await installing.node(await installing.reaches(live.id, ['cancelled'], 4 * minutes)))
    await nothingIsLeft(url, installing)
  } finally {
    await installing.end()
    rmSync(home, { recursive: true })
  }
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
