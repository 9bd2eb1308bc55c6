import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import type { Stage } from '../core/stage.ts'
import { randomName } from '../lib/chance.ts'
import { installAll } from './install.ts'
import { scripted } from './install-for-tests.ts'
import type { Size } from './install-meter.ts'
import { placesOf } from './install-places.ts'
import { type JsonFailure, NodeDisk } from './node-disk.ts'
import { processesWith } from './proc.ts'
import { defaultTiming } from './timing.ts'
import { simEngine, until } from './world-for-tests.ts'

let dir: string
let machine: string
let said: string[]
let lines: string[]
let told: { phase: string; percent: number | null; size: Size | null }[]

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-install-'))
  machine = `fd-test-${randomName(8)}`
  said = []
  lines = []
  told = []
})

afterEach(() => {
  assert.deepEqual(processesWith([`FLIGHTDECK_MACHINE=${machine}`]), [])
  rmSync(dir, { recursive: true, force: true })
})

const quick = { ...defaultTiming, installPollMs: 20, installBackOffMs: 20, maxInstallBackOffMs: 40, logPollMs: 10 }
const folder = () => join(dir, 'recipe')

function install(
  stages: readonly Stage[],
  { secrets = {}, stop }: { secrets?: Record<string, string>; stop?: AbortSignal } = {},
): Promise<JsonFailure | null> {
  const what = { folder: null, stages }
  const say = (text: string) => void said.push(text)
  const deps = {
    install: what,
    places: placesOf(what, folder()),
    spec: simEngine({}, { env: { OF_ENGINE: '{env}' } }),
    secrets,
    machine,
    disk: new NodeDisk(dir),
    timing: quick,
    log: { say, note: say, sayOnce: (_: string, text: string) => say(text) },
    onPhase: (phase: string, percent: number | null, size: Size | null) => void told.push({ phase, percent, size }),
    onLine: (text: string) => void lines.push(text),
  }
  return installAll(deps, stop ?? new AbortController().signal)
}

const phases = () => told.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1])
const envFolder = () => join(folder(), readdirSync(folder()).find((name) => /^env-\w+$/.test(name)) ?? '')
const waitFor = (file: string) => `while [ ! -e ${join(dir, file)} ]; do sleep 0.02; done`

test('stages run in their order, each told as a phase, and what they printed is passed on', async () => {
  const stages = [
    scripted('python', 'mkdir "$OF_ENGINE/bin"', { env: { OF_ENGINE: '{env}' } }),
    scripted('engine', 'echo "in $OF_ENGINE"; test -d "$OF_ENGINE/bin"'),
    scripted('model', 'echo "flightdeck: expect 100"'),
  ]
  assert.equal(await install(stages), null)
  assert.deepEqual(phases(), ['python_install', 'engine_install', 'model_fetch'])
  assert.deepEqual(lines, [`in ${envFolder()}`, 'flightdeck: expect 100'])
  assert.match(readFileSync(join(dir, 'install.log'), 'utf8'), /^\$ sh -c mkdir .*\n\$ sh -c echo .*\nin /)
})

test('size, speed and percent come from the folder that grows and from what was announced', async () => {
  const script = `echo "flightdeck: expect 2000000"; head -c 1000000 /dev/zero >"$OF_ENGINE/half"; ${waitFor('seen')}; head -c 1000000 /dev/zero >"$OF_ENGINE/rest"`
  const done = install([scripted('python', 'true'), scripted('engine', script)])
  const half = await until('half of it', () =>
    told.find(({ phase, size }) => phase === 'engine_install' && (size?.bytes ?? 0) >= 1_000_000),
  )
  const { percent } = half
  assert.ok(percent !== null && percent > 40 && percent < 60 && (half.size?.bytesPerS ?? 0) > 0)
  mkdirSync(join(dir, 'seen'))
  assert.equal(await done, null)
  const last = told.at(-1)
  assert.equal(last?.percent, 100)
  assert.ok((last?.size?.bytes ?? 0) >= 2_000_000 && (last?.size?.bytesPerS ?? 0) > 0)
})

test('what is there already is passed over, and another version gets an environment of its own', async () => {
  const python = scripted('python', 'true')
  assert.equal(await install([python, scripted('engine', 'echo one')]), null)
  told = []
  assert.equal(await install([python, scripted('engine', 'echo one', { limitS: 99, title: 'otherwise called' })]), null)
  assert.deepEqual([told, lines], [[], ['one']])
  assert.equal(await install([python, scripted('engine', 'echo two')]), null)
  assert.deepEqual(lines, ['one', 'two'])
  assert.equal(readdirSync(folder()).filter((name) => /^env-\w+$/.test(name)).length, 2)
})

test('an environment that was begun and never finished is not taken for whole: it is made anew', async () => {
  const stages = [
    scripted('python', 'true'),
    scripted('engine', `echo x >>"$OF_ENGINE/half"; ${waitFor('go')}; cat "$OF_ENGINE/half"`),
  ]
  const stop = new AbortController()
  const first = install(stages, { stop: stop.signal })
  await until('it is half made', () => existsSync(folder()) && existsSync(join(envFolder(), 'half')))
  stop.abort()
  assert.equal(await first, null)
  assert.deepEqual(processesWith([`FLIGHTDECK_MACHINE=${machine}`]), [], 'told to stop, it leaves nothing running')
  mkdirSync(join(dir, 'go'))
  assert.equal(await install(stages), null)
  assert.deepEqual(lines, ['x'])
  assert.ok(said.some((text) => text.startsWith('A half made environment is made anew')))
})

test('a model that was fetched in part is gone on with, not begun again', async () => {
  const parts = join(dir, 'parts')
  const stages = [scripted('model', `echo x >>${parts}; ${waitFor('go')}; cat ${parts}`)]
  const stop = new AbortController()
  const first = install(stages, { stop: stop.signal })
  await until('a part', () => existsSync(parts))
  stop.abort()
  await first
  mkdirSync(join(dir, 'go'))
  assert.equal(await install(stages), null)
  assert.deepEqual(lines, ['x', 'x'])
})

const fails = (words: string) => `echo ${JSON.stringify(words)} >&2; echo tried >>${join(dir, 'tries')}; exit 2`
const tries = () => readFileSync(join(dir, 'tries'), 'utf8').split('tried').length - 1

test('what the network did is tried again within bounds, and told with its cause and the last lines', async () => {
  const failure = await install([scripted('engine', fails('  cause: dns error for https://pkg.example/simple/'))])
  assert.equal(failure?.code, 'registry_unreachable')
  assert.match(failure?.cause ?? '', /package registry \(pkg\.example\) cannot be found/)
  assert.match(failure?.evidence ?? '', /dns error/)
  assert.equal(tries(), 3)
  assert.equal(said.filter((text) => text.includes('tried again')).length, 2)
})

test('a network that comes back in between ends the trying, on an environment that is new from the start', async () => {
  const script = `test -e ${join(dir, 'tries')} || { ${fails('Connection refused')}; }; test -e "$OF_ENGINE/python" && echo good`
  assert.equal(await install([scripted('python', 'touch "$OF_ENGINE/python"'), scripted('engine', script)]), null)
  assert.deepEqual([lines, tries()], [['Connection refused', 'good'], 1])
})

test('what trying again cannot help is told at once', async () => {
  for (const [words, code] of [
    ['error: failed to write: No space left on device (os error 28)', 'disk_full'],
    ['GatedRepoError: 401 Client Error. Cannot access gated repo', 'gated_without_token'],
    ['ERROR: No matching distribution found for vllm==0.0.1', 'version_not_found'],
  ] as const) {
    rmSync(join(dir, 'tries'), { force: true })
    const failure = await install([scripted('engine', fails(words))])
    assert.deepEqual([failure?.code, tries()], [code, 1])
    assert.ok(failure?.remedy)
  }
})

test('what nobody knows is tried once more, and no oftener', async () => {
  const failure = await install([scripted('engine', fails('the moon is full'))])
  assert.deepEqual([failure?.code, tries()], ['install_failed', 2])
  assert.match(failure?.cause ?? '', /exit code 2/)
})

test('a stage that takes too long is ended, with all that it had started, and says how far it came', async () => {
  const script = 'head -c 3000000 /dev/zero >"$OF_ENGINE/some"; setsid sleep 300 & sleep 300'
  const failure = await install([scripted('python', 'true'), scripted('engine', script, { limitS: 1 })])
  assert.equal(failure?.code, 'install_timeout')
  assert.match(failure?.cause ?? '', /not done within 1 s: the engine, and had put 3\.\d MB on the disk/)
})

test('a disk that is too small is told before anything is begun, or as soon as the size is known', async () => {
  const before = await install([scripted('engine', fails('never run'), { needsMib: 10 ** 9 })])
  assert.deepEqual([before?.code, existsSync(join(dir, 'tries'))], ['disk_full', false])
  assert.match(before?.cause ?? '', /976562\.5 GiB of disk are needed, and \d+\.\d GiB are free/)
  const known = await install([scripted('model', `echo "flightdeck: expect ${10 ** 16}"; sleep 300`)])
  assert.equal(known?.code, 'disk_full')
})

test('a program that is not there and a path that is not there are named', async () => {
  const none = await install([scripted('python', '', { ways: [{ program: 'no-such-uv', commands: [] }] })])
  assert.equal(none?.code, 'no_python')
  const absent = await install([scripted('model', '', { keeps: null, exists: '/no/such/model' })])
  assert.deepEqual([absent?.code, absent?.cause], ['model_not_found', 'There is no /no/such/model on the machine.'])
  const there = scripted('model', '', { keeps: null, exists: dir })
  assert.equal(await install([there]), null)
})

test('a secret is seen by the stage that names it and by no other, and stands in no argument and no log', async () => {
  const show = 'echo "token ${HF_TOKEN-none} index ${UV_INDEX_URL-none}"'
  const stages = [scripted('engine', show, { secrets: ['UV_*'] }), scripted('model', show, { secrets: ['HF_TOKEN'] })]
  const secrets = { HF_TOKEN: 'hf_word', UV_INDEX_URL: 'index_word', OTHER: 'other_word' }
  assert.equal(await install(stages, { secrets }), null)
  assert.deepEqual(lines, ['token none index index_word', 'token hf_word index none'])
  assert.ok(said.every((text) => !/_word/.test(text)))
})
