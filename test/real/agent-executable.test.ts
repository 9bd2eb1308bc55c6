import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { processesWith } from '../../src/agent/proc.ts'
import { FakeControl, hasEnded, joinToken, simEngine, textOf, until } from '../../src/agent/world-for-tests.ts'
import { buildAgent } from '../../src/main/build.ts'
import { buildExecutable } from '../../src/main/build-executable.ts'
import { projectRoot } from '../../src/main/config.ts'
import { agentFilesOf } from '../../src/main/skypilot.ts'
import { type Artefact, type ArtefactIndex, executablePlatforms } from '../../src/wire/artefacts.ts'
import { BareMachine, startMirror } from '../bare-machine.ts'
import { loopTools } from '../bare-path.ts'
import { putRealOne } from './real-programs.ts'

const said: string[] = []
const say = (line: string) => said.push(line)
let folder: string
let artefacts: readonly Artefact[]
let scratch: string

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'fd-executable-'))
  const built = await buildAgent(projectRoot, { executables: executablePlatforms, say })
  expect(built?.missing).toEqual({})
  artefacts = built?.index.artefacts ?? []
  folder = join(projectRoot, 'dist', 'agent', built?.index.version ?? '')
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const bytesOf = (file: string): Buffer => readFileSync(join(folder, file))
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const artefactOf = (file: string): Artefact | undefined => artefacts.find((one) => one.file === file)

test.each([
  // As ELF numbers processors.
  { platform: 'linux-x64', processor: 62, tested: true },
  { platform: 'linux-arm64', processor: 183, tested: false },
])('for $platform there is an executable, raw and packed, and the index says whether it was ever run', (row) => {
  const file = `agent-${row.platform}`
  const [raw, packed] = [bytesOf(file), bytesOf(`${file}.gz`)]
  expect(artefactOf(file)).toMatchObject({ sha256: sha256(raw), bytes: raw.length, tested: row.tested })
  expect(artefactOf(`${file}.gz`)).toMatchObject({ sha256: sha256(packed), packed: 'gzip', tested: row.tested })
  expect(sha256(gunzipSync(packed))).toBe(sha256(raw))
  expect([raw.toString('latin1', 1, 4), raw.readUInt16LE(18)]).toEqual(['ELF', row.processor])
})

test('who builds the same sources gets the same file, so a mirror can be held against a build of one`s own', async () => {
  const wish = {
    root: projectRoot,
    platform: 'linux-x64',
    bundle: join(folder, 'agent.cjs'),
    folder: scratch,
    say,
  } as const
  const again = await buildExecutable(wish)
  expect(again).toEqual(artefacts.filter(({ platform }) => platform === 'linux-x64'))
})

test('a machine without Node is brought it, and it is the whole agent: it joins, starts the engine, lends connections, and ends all', async () => {
  const control = new FakeControl(simEngine())
  await control.listen()
  const mirror = await startMirror((path) => readFileSync(join(folder, '..', path)))
  const machine = new BareMachine([...loopTools, 'python3', 'sha256sum', 'gzip'], putRealOne)
  const index = JSON.parse(bytesOf('index.json').toString()) as ArtefactIndex
  const left = () => processesWith(['FLIGHTDECK_MACHINE=fd-x-1', `FLIGHTDECK_CONTROL_URL=${control.url}`])
  const parts = { controlUrl: control.url, joinToken, agent: agentFilesOf(index, [mirror.url]) }
  const job = machine.start(parts, () => undefined)
  try {
    await until('the engine answered', () => control.answered(), 60_000)
    expect(existsSync(join(machine.home, '.flightdeck/fd-x-1/agent-linux-x64'))).toBe(true)
    expect(mirror.asked).toEqual(['agent-linux-x64.gz', 'loop.sh'])
    expect(control.joins).toMatchObject([{ protocol: index.protocol }])
    const response = await control.send('GET', '/v1/models')
    expect(await textOf(response)).toContain('tiny')
    job.kill('SIGTERM')
    await until('the job has ended', () => hasEnded(job), 30_000)
    expect(left()).toEqual([])
    expect(existsSync(join(machine.home, '.flightdeck/fd-x-1/agent-linux-x64'))).toBe(false)
  } finally {
    for (const pid of left()) process.kill(pid, 'SIGKILL')
    machine.clean()
    await mirror.close()
    await control.close()
  }
})
