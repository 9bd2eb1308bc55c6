import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import {
  type BareMachine,
  joinToken,
  makeAgentFiles,
  mayLimitDisks,
  startMirror,
  version,
} from '../../../test/bare-machine.ts'
import { setUpSuite } from '../../../test/set-up-suite.ts'
import { flipped, type SetUpWorld, startSetUpWorld } from '../../../test/set-up-world.ts'
import { isFailureCode } from '../../core/failure.ts'
import { agentFilesOf } from '../../main/skypilot.ts'
import { setUpCodes } from './run-script.ts'

let world: SetUpWorld
beforeAll(async () => {
  world = await startSetUpWorld()
})
afterAll(() => world?.end())

setUpSuite(() => world)

const nowhere = 'http://127.0.0.1:1'
const kept = (machine: BareMachine, file: string): string => join(machine.home, '.flightdeck/fd-x-1', file)

test('where there is Node, a machine fetches the bundle, hides the token in a file, and becomes the loop', async () => {
  const machine = world.machineWith('node', 'curl', 'sha256sum')
  const { lines, failure } = await machine.run(world.parts())
  expect(failure).toBeNull()
  expect(lines).toEqual(
    expect.arrayContaining([
      'flightdeck: the agent of fd-x-1 starts',
      'the bundle runs: run',
      'tokens: 0',
      `FLIGHTDECK_NODE_BIN=${join(machine.path, 'node')}`,
      `FLIGHTDECK_CONTROL_URL=${world.control.api.url}`,
      // Where SkyPilot keeps uv comes last: what the machine or its image has is what runs.
      `PATH=${machine.path}:${machine.home}/.local/bin`,
    ]),
  )
  expect(readFileSync(kept(machine, 'join-token'), 'utf8')).toBe(joinToken)
})

test('in an allocation of Slurm the machine is to be ended by giving that back, and elsewhere by nothing of ours', async () => {
  const machine = world.machineWith('node', 'curl', 'sha256sum')
  machine.put('scancel', '#!/bin/sh\n')
  const endSelf = async () => (await machine.run(world.parts())).lines.filter((line) => line.includes('END_SELF'))
  expect(await endSelf()).toEqual([])
  machine.variables['SLURM_JOB_ID'] = '4711'
  expect(await endSelf()).toEqual(['FLIGHTDECK_END_SELF=scancel 4711'])
})

test('a Node that is too old is passed over, and the machine says so', async () => {
  const machine = world.machineWith('curl', 'sha256sum', 'gzip')
  machine.put('node', '#!/bin/sh\nexit 1\n')
  const { lines } = await machine.run(world.parts())
  expect(lines).toContain('the executable runs: run')
  expect(lines.join('\n')).toMatch(
    /flightdeck: there is no Node.js 18 or newer on this machine \(node\): agent-linux-\w+/,
  )
})

test('a job that is started again on its machine fetches nothing twice', async () => {
  const mirror = await world.mirrorOf()
  const machine = world.machineWith('node', 'curl', 'sha256sum')
  await machine.run(world.parts([mirror.url]))
  expect(mirror.asked).toEqual(['agent.cjs', 'loop.sh'])
  expect((await machine.run(world.parts([mirror.url]))).failure).toBeNull()
  expect(mirror.asked).toHaveLength(2)
})

test('a mirror is asked first, and the control plane where it does not answer or has not got this version', async () => {
  const mirror = await world.mirrorOf()
  const machine = world.machineWith('node', 'curl', 'sha256sum')
  expect((await machine.run(world.parts([mirror.url], nowhere))).failure).toBeNull()
  const empty = await startMirror(() => null)
  onTestFinished(() => empty.close())
  for (const [i, url] of [nowhere, empty.url].entries()) {
    const { lines, failure } = await machine.run({ ...world.parts([url]), name: `fd-y-${i}` })
    expect(failure).toBeNull()
    expect(lines.join('\n')).toContain(`flightdeck: ${url}/${version}/agent.cjs cannot be fetched with curl: curl: (`)
  }
})

interface Trouble {
  readonly what: string
  readonly has: readonly string[]
  readonly over?: () => Promise<object> | object
  readonly code: string
  readonly retry: string
  readonly cause: RegExp
  readonly remedy: RegExp
}

const troubles: readonly Trouble[] = [
  {
    what: 'a mirror that serves other bytes',
    has: ['node', 'curl', 'sha256sum'],
    over: async () => world.parts([(await world.mirrorOf(flipped)).url]),
    code: 'agent_altered',
    retry: 'not_here',
    cause: /agent\.cjs is not what was announced: wrong checksum, SHA-256 [0-9a-f]{64} instead of/,
    remedy: /dist\/agent/,
  },
  {
    what: 'a control plane whose loop was altered on the way',
    has: ['node', 'curl', 'sha256sum'],
    over: async () => {
      const between = await world.mirrorOf((file, path) => (path.endsWith('loop.sh') ? flipped(file) : file))
      return { controlUrl: between.url, agent: agentFilesOf(world.index, [between.url]) }
    },
    code: 'agent_altered',
    retry: 'not_here',
    cause: /loop\.sh is not what was announced/,
    remedy: /who serves other bytes/,
  },
  {
    what: 'an executable that was altered',
    has: ['curl', 'sha256sum', 'gzip'],
    over: async () => world.parts([(await world.mirrorOf(flipped)).url]),
    code: 'agent_altered',
    retry: 'not_here',
    cause: /agent-linux-\w+\.gz is not what was announced/,
    remedy: /dist\/agent/,
  },
  {
    what: 'nobody who answers',
    has: ['node', 'curl', 'sha256sum'],
    over: () => world.parts([], nowhere),
    code: 'agent_unreachable',
    retry: 'elsewhere',
    cause: /127\.0\.0\.1:1\/.*agent\.cjs cannot be fetched with curl: curl: \(7\)/,
    remedy: /public address/,
  },
  {
    what: 'nothing to download with',
    has: ['sha256sum'],
    code: 'no_downloader',
    retry: 'not_here',
    cause: /none of curl, wget, python3 and Node/,
    remedy: /image with curl/,
  },
  {
    what: 'nothing that computes a checksum',
    has: ['curl'],
    code: 'no_downloader',
    retry: 'not_here',
    cause: /computes a SHA-256/,
    remedy: /sha256sum/,
  },
  {
    what: 'neither Node nor an executable',
    has: ['curl', 'sha256sum'],
    over: () => {
      const { agent, ...rest } = world.parts()
      return { ...rest, agent: { ...agent, x64: null, arm64: null }, nodeBin: '/nowhere/node' }
    },
    code: 'no_nodejs',
    retry: 'not_here',
    cause: /no Node.js 18 or newer on this machine \(\/nowhere\/node\).*no executable/,
    remedy: /npm run build:agent/,
  },
]

test.each(troubles)('$what: the job ends, nothing is run, and the launch says why and what to do', async (trouble) => {
  const { code, retry, cause, remedy } = trouble
  const over = { ...world.parts(), ...(await trouble.over?.()) }
  const { lines, failure } = await world.machineWith(...trouble.has).run(over)
  expect(failure).toMatchObject({ code, retry })
  expect(failure?.cause).toMatch(cause)
  expect(failure?.remedy).toMatch(remedy)
  expect(lines.join('\n')).not.toContain('runs: run')
})

test('an executable that does not run there is told with what it said', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'fd-agents-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const broken = makeAgentFiles(dir, '#!/bin/sh\necho "GLIBC_2.28 not found" >&2\nexit 1\n')
  const mirror = await startMirror((path) => readFileSync(join(dir, path)))
  onTestFinished(() => mirror.close())
  const agent = agentFilesOf(broken, [mirror.url])
  const { failure } = await world.machineWith('curl', 'sha256sum').run({ ...world.parts(), agent })
  expect(failure).toMatchObject({ code: 'no_nodejs', cause: expect.stringContaining('GLIBC_2.28 not found') })
})

test.skipIf(!mayLimitDisks())('a disk that is full before anything was written is told as such', async () => {
  const machine = world.machineWith('node', 'curl', 'sha256sum')
  machine.limitDisk(8)
  writeFileSync(join(machine.home, 'all'), 'x'.repeat(4_096))
  expect((await machine.run(world.parts())).failure?.code).toBe('disk_full')
})

test('every code that a set-up may end with is in the catalogue', () => {
  expect(setUpCodes.filter((code) => !isFailureCode(code))).toEqual([])
})
