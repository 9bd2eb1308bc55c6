import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import {
  BareMachine,
  joinToken,
  type Mirror,
  makeAgentFiles,
  mayLimitDisks,
  startMirror,
  version,
} from '../../../test/bare-machine.ts'
import { programAt } from '../../../test/bare-path.ts'
import { startTestApi, type TestApi } from '../../api/api-for-tests.ts'
import { isFailureCode } from '../../core/failure.ts'
import { fingerprintOf, makeAuthority } from '../../lib/certificate.ts'
import { certificateFrom } from '../../lib/certificate-source.ts'
import { systemClock } from '../../lib/clock.ts'
import { agentFilesOf } from '../../main/skypilot.ts'
import type { ArtefactIndex } from '../../wire/artefacts.ts'
import { setUpCodes } from './run-script.ts'

let agentDir: string
let index: ArtefactIndex
let control: TestApi
let machine: BareMachine

const authority = await makeAuthority('tests', { now: systemClock.now(), days: 1 })
const certificate = certificateFrom(authority, ['localhost', '127.0.0.1'], systemClock)

beforeAll(async () => {
  agentDir = mkdtempSync(join(tmpdir(), 'fd-agents-'))
  index = makeAgentFiles(agentDir)
  control = await startTestApi({ agentDir, certificate })
})
afterEach(() => machine.clean())
afterAll(async () => {
  await control.end()
  certificate.close()
  rmSync(agentDir, { recursive: true })
})

const machineWith = (...has: string[]): BareMachine => {
  machine = new BareMachine(has)
  return machine
}
const nowhere = 'http://127.0.0.1:1'
const parts = (mirrors: readonly string[] = [], controlUrl = control.api.url) => {
  return { controlUrl, agent: agentFilesOf(index, [...mirrors, `${controlUrl}/downloads/agent`]) }
}
const there = (...names: string[]) => names.every((name) => programAt(name) !== null)
const kept = (file: string): string => join(machine.home, '.flightdeck/fd-x-1', file)

/** A mirror that serves what lies in the agent's folder, changed by `alter`. */
async function mirrorOf(alter: (file: Buffer, path: string) => Buffer = (file) => file): Promise<Mirror> {
  const mirror = await startMirror((path) => {
    const file = join(agentDir, path)
    return existsSync(file) ? alter(readFileSync(file), path) : null
  })
  onTestFinished(() => mirror.close())
  return mirror
}

const flipped = (file: Buffer): Buffer => {
  const changed = Buffer.from(file)
  changed[0] = (changed[0] ?? 0) ^ 1
  return changed
}

test('where there is Node, a machine fetches the bundle, hides the token in a file, and becomes the loop', async () => {
  const { lines, failure } = await machineWith('node', 'curl', 'sha256sum').run(parts())
  expect(failure).toBeNull()
  expect(lines).toEqual(
    expect.arrayContaining([
      'flightdeck: the agent of fd-x-1 starts',
      'the bundle runs: run',
      'tokens: 0',
      `FLIGHTDECK_NODE_BIN=${join(machine.path, 'node')}`,
      `FLIGHTDECK_CONTROL_URL=${control.api.url}`,
      // Where SkyPilot keeps uv comes last: what the machine or its image has is what runs.
      `PATH=${machine.path}:${machine.home}/.local/bin`,
    ]),
  )
  expect(readFileSync(kept('join-token'), 'utf8')).toBe(joinToken)
})

describe.each(['curl', 'wget', 'python3'])('with nothing to download but %s', (tool) => {
  test.skipIf(!there(tool))('a machine with Node gets the bundle', async () => {
    expect((await machineWith('node', tool, 'sha256sum').run(parts())).lines).toContain('the bundle runs: run')
  })

  test.skipIf(!there(tool))('one without Node gets the executable, packed or not, which needs none', async () => {
    const packed = await machineWith(tool, 'sha256sum', 'gzip').run(parts())
    expect(packed.lines).toEqual(expect.arrayContaining(['the executable runs: run', 'FLIGHTDECK_NODE_BIN=']))
    machine.clean()
    expect((await machineWith(tool, 'sha256sum').run(parts())).lines).toContain('the executable runs: run')
  })

  test.skipIf(!there(tool))(
    'an authority of the install`s own is no hindrance: the checksum is what is believed',
    async () => {
      const port = new URL(control.api.url).port
      const secure = { ...parts([], `https://localhost:${port}`), controlFingerprint: fingerprintOf(authority.cert) }
      expect((await machineWith('node', tool, 'sha256sum').run(secure)).lines).toContain('the bundle runs: run')
      const unknown = await machine.run({ ...secure, name: 'fd-x-2', controlFingerprint: null })
      expect(unknown.failure).toMatchObject({ code: 'agent_unreachable', retry: 'elsewhere' })
    },
  )
})

test.each([['sha256sum'], ['shasum', 'perl'], ['openssl'], ['python3']])(
  'with nothing to compute a SHA-256 but %s, what was altered is told from what was not',
  async (...tools) => {
    if (!there(...tools)) return
    const mirror = await mirrorOf(flipped)
    expect((await machineWith('node', 'curl', ...tools).run(parts())).failure).toBeNull()
    expect((await machine.run({ ...parts([mirror.url]), name: 'fd-x-2' })).failure?.code).toBe('agent_altered')
  },
)

test('a Node that is too old is passed over, and the machine says so', async () => {
  machineWith('curl', 'sha256sum', 'gzip').put('node', '#!/bin/sh\nexit 1\n')
  const { lines } = await machine.run(parts())
  expect(lines).toContain('the executable runs: run')
  expect(lines.join('\n')).toMatch(
    /flightdeck: there is no Node.js 18 or newer on this machine \(node\): agent-linux-\w+/,
  )
})

test('a job that is started again on its machine fetches nothing twice', async () => {
  const mirror = await mirrorOf()
  await machineWith('node', 'curl', 'sha256sum').run(parts([mirror.url]))
  expect(mirror.asked).toEqual(['agent.cjs', 'loop.sh'])
  expect((await machine.run(parts([mirror.url]))).failure).toBeNull()
  expect(mirror.asked).toHaveLength(2)
})

test('a mirror is asked first, and the control plane where it does not answer or has not got this version', async () => {
  const mirror = await mirrorOf()
  expect((await machineWith('node', 'curl', 'sha256sum').run(parts([mirror.url], nowhere))).failure).toBeNull()
  const empty = await startMirror(() => null)
  onTestFinished(() => empty.close())
  for (const [i, url] of [nowhere, empty.url].entries()) {
    const { lines, failure } = await machine.run({ ...parts([url]), name: `fd-y-${i}` })
    expect(failure).toBeNull()
    expect(lines.join('\n')).toContain(`flightdeck: ${url}/${version}/agent.cjs cannot be fetched with curl: curl: (`)
  }
})

test('a download that breaks off is tried again, and only a whole one counts', async () => {
  const breaksOnce = `#!/bin/sh
if [ -e "$HOME/broken" ]; then exec ${programAt('curl')} "$@"; fi
: >"$HOME/broken"
echo "curl: (18) transfer closed with outstanding read data remaining" >&2
exit 18
`
  machineWith('node', 'sha256sum').put('curl', breaksOnce)
  const { lines, failure } = await machine.run(parts())
  expect(failure).toBeNull()
  expect(lines).toContain('the bundle runs: run')
  expect(existsSync(join(machine.home, 'broken'))).toBe(true)
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
    over: async () => parts([(await mirrorOf(flipped)).url]),
    code: 'agent_altered',
    retry: 'not_here',
    cause: /agent\.cjs is not what was announced: wrong checksum, SHA-256 [0-9a-f]{64} instead of/,
    remedy: /dist\/agent/,
  },
  {
    what: 'a control plane whose loop was altered on the way',
    has: ['node', 'curl', 'sha256sum'],
    over: async () => {
      const between = await mirrorOf((file, path) => (path.endsWith('loop.sh') ? flipped(file) : file))
      return { controlUrl: between.url, agent: agentFilesOf(index, [between.url]) }
    },
    code: 'agent_altered',
    retry: 'not_here',
    cause: /loop\.sh is not what was announced/,
    remedy: /who serves other bytes/,
  },
  {
    what: 'an executable that was altered',
    has: ['curl', 'sha256sum', 'gzip'],
    over: async () => parts([(await mirrorOf(flipped)).url]),
    code: 'agent_altered',
    retry: 'not_here',
    cause: /agent-linux-\w+\.gz is not what was announced/,
    remedy: /dist\/agent/,
  },
  {
    what: 'nobody who answers',
    has: ['node', 'curl', 'sha256sum'],
    over: () => parts([], nowhere),
    code: 'agent_unreachable',
    retry: 'elsewhere',
    cause: /127\.0\.0\.1:1\/.*agent\.cjs cannot be fetched with curl: curl: \(7\)/,
    remedy: /public address/,
  },
  {
    what: 'nothing to download with',
    has: ['node', 'sha256sum'],
    code: 'no_downloader',
    retry: 'not_here',
    cause: /none of curl, wget and python3/,
    remedy: /image with curl/,
  },
  {
    what: 'nothing that computes a checksum',
    has: ['node', 'curl'],
    code: 'no_downloader',
    retry: 'not_here',
    cause: /computes a SHA-256/,
    remedy: /sha256sum/,
  },
  {
    what: 'neither Node nor an executable',
    has: ['curl', 'sha256sum'],
    over: () => {
      const { agent, ...rest } = parts()
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
  const over = { ...parts(), ...(await trouble.over?.()) }
  const { lines, failure } = await machineWith(...trouble.has).run(over)
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
  const { failure } = await machineWith('curl', 'sha256sum').run({ ...parts(), agent })
  expect(failure).toMatchObject({ code: 'no_nodejs', cause: expect.stringContaining('GLIBC_2.28 not found') })
})

describe.skipIf(!mayLimitDisks())('a disk that is full', () => {
  test.each(['curl', 'wget', 'python3'])(
    'in the middle of a download by %s is told as such, with the room',
    async (tool) => {
      if (!there(tool)) return
      machineWith('node', tool, 'sha256sum')
      machine.limitDisk(64)
      const { failure } = await machine.run(parts())
      expect(failure).toMatchObject({
        code: 'disk_full',
        retry: 'not_here',
        remedy: expect.stringContaining('diskGib'),
      })
      expect(failure?.cause).toMatch(/\d+ MiB free below/)
    },
  )

  test('before anything was written is told as such', async () => {
    machineWith('node', 'curl', 'sha256sum')
    machine.limitDisk(8)
    writeFileSync(join(machine.home, 'all'), 'x'.repeat(4_096))
    expect((await machine.run(parts())).failure?.code).toBe('disk_full')
  })
})

test('every code that a set-up may end with is in the catalogue', () => {
  expect(setUpCodes.filter((code) => !isFailureCode(code))).toEqual([])
})
