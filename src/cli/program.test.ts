import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeControl, refusal, token } from '../../test/fake-control.ts'
import { projectRoot } from './connection.ts'
import { exitCodes } from './exit.ts'
import { engineFailure, failedLaunch, launch, liveLaunch, node, queuedLaunch } from './test-views.ts'

let control: FakeControl
let folder: string
const children = new Set<ChildProcess>()

beforeEach(async () => {
  control = new FakeControl()
  folder = mkdtempSync(join(tmpdir(), 'fd-cli-'))
  await control.listen()
})

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
  await control.close()
  rmSync(folder, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** The real command in a process of its own. `onOut` sees what it prints while it runs. */
function run(words: string[], env: object = {}, onOut?: (out: string, child: ChildProcess) => void): Promise<Ended> {
  const given = {
    PATH: process.env.PATH,
    FLIGHTDECK_DATA: folder,
    FLIGHTDECK_URL: control.url,
    FLIGHTDECK_TOKEN: token,
  }
  const child = spawn(process.execPath, [join(projectRoot, 'src/main/cli.ts'), ...words], { env: { ...given, ...env } })
  children.add(child)
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text
    onOut?.(out, child)
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text
  })
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err })))
}

const asJson = (text: string): unknown => JSON.parse(text)
const asLines = (text: string) => text.trim().split('\n').map(asJson)
const gateways = [{ id: 'gw', url: 'http://127.0.0.1:9', seenAt: '2026-03-01T12:00:00.000Z', tableCurrent: true }]

test('a launch is followed until it serves, one line for each change, exit code 0', async () => {
  control.answer('POST /api/launches', queuedLaunch(1), 202)
  control.answer('GET /api/status', { gateways })
  control.scripts.push((tell) => [launch(), launch({ percent: 70 }), liveLaunch()].forEach(tell))
  const wish = [
    '--gpu',
    'H100',
    '--gpu',
    'L4',
    '--cloud',
    'aws',
    '--cloud',
    'gcp',
    '--spot',
    'first',
    '--max-price',
    '3',
  ]
  const { code, out } = await run(['launch', 'sim-small', '--arg', 'max-model-len=512', ...wish])
  expect(code).toBe(exitCodes.ok)
  expect(out.replace(/^ *\S+ {2}/gm, '')).toBe(
    `queued (0%)
place 1 in the queue
attempt 1 at local here, $2.4900/h
requesting
weights load (40%, about 12s left)
ready
live
live after 10s: fd-abcde-0000000001 serves sim-small
OpenAI base URL: http://127.0.0.1:9/v1
`,
  )
  const sent = control.asked[0]
  expect(sent?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/)
  expect(asJson(sent?.body ?? '')).toMatchObject({
    model: 'sim-small',
    engineArgs: { 'max-model-len': 512 },
    wish: { gpus: ['H100', 'L4'], clouds: ['aws', 'gcp'], spot: 'first', maxPricePerHourMicroUsd: 3_000_000 },
  })
})

test('a model that is not configured is launched with where its weights lie; what loads them goes with a place only', async () => {
  control.answer('POST /api/launches', queuedLaunch(1), 202)
  expect((await run(['launch', 'mine', '--detach', '--source', 's3://weights/mine'])).code).toBe(exitCodes.ok)
  expect(asJson(control.asked[0]?.body ?? '')).toMatchObject({
    model: 'mine',
    own: { source: 's3://weights/mine', engine: 'vllm' },
  })
  const alone = await run(['launch', 'mine', '--detach', '--engine', 'sglang'])
  expect([alone.code, alone.err]).toEqual([exitCodes.usage, expect.stringContaining('--source')])
})

test('several replicas are planned and deployed with all that a launch may be asked with, once for each key', async () => {
  for (const call of ['POST /api/plan', 'POST /api/deployments'])
    control.answers.set(call, refusal('name_taken', 409, 'Taken.'))
  const asked = ['tiny', '--replicas', '3', '--time-limit', '20m', '--concurrency', '4']
  await run(['plan', ...asked, '--deployment', 'chat'])
  await run(['deploy', ...asked, '--idempotency-key', 'k-1'])
  const [plan, deploy] = control.asked
  const terms = { model: 'tiny', timeLimitS: 1_200, concurrency: 4 }
  expect(asJson(plan?.body ?? '')).toMatchObject({ ...terms, replicas: 3, deployment: 'chat' })
  expect(asJson(deploy?.body ?? '')).toMatchObject({ ...terms, wanted: 3, name: 'tiny' })
  expect(deploy?.headers['idempotency-key']).toBe('k-1')
})

test('a lost connection is made again, and the launch is followed to its end', async () => {
  control.answer('POST /api/launches', queuedLaunch(1), 202)
  control.answer('GET /api/status', { gateways: [] })
  control.answer('GET /api/launches/la-0000000001', launch())
  control.scripts.push((_tell, cut) => cut())
  control.scripts.push((tell) => tell(liveLaunch()))
  const { code, out } = await run(['launch', 'sim-small', '--json'])
  const lines = asLines(out)
  expect(lines.at(-1)).toMatchObject({ event: 'end', exitCode: 0, launch: { state: 'live' } })
  expect(code).toBe(exitCodes.ok)
  expect(control.connections).toBe(2)
})

test('where no live connection can be had, the launch is followed by asking', async () => {
  control.answer('POST /api/launches', queuedLaunch(1), 202)
  control.answer('GET /api/status', { gateways: [] })
  control.answer('GET /api/launches/la-0000000001', liveLaunch())
  control.scripts.push((_tell, cut) => cut())
  expect((await run(['launch', 'sim-small'])).code).toBe(exitCodes.ok)
  expect(control.connections).toBe(1)
})

test.each([
  ['failed', exitCodes.failed],
  ['cancelled', exitCodes.failed],
  ['timed_out', exitCodes.timedOut],
] as const)('a launch that is %s tells cause and remedy, exit code %i', async (state, expected) => {
  control.answer('POST /api/launches', queuedLaunch(1), 202)
  control.scripts.push((tell) => tell(failedLaunch(state)))
  const { code, err } = await run(['launch', 'sim-small'])
  expect(err).toContain(`error: ${engineFailure.cause}\n  | Traceback\n  | SafetensorError: header too small\n`)
  expect(err).toContain(`what to do: ${engineFailure.remedy}\n(code engine_failed)\n`)
  expect(code).toBe(expected)
})

test('Ctrl-C ends the watching and not the launch, and says how to go on', async () => {
  control.answer('POST /api/launches', queuedLaunch(2), 202)
  control.scripts.push((tell) => tell(launch()))
  const { code, err } = await run(['launch', 'sim-small'], {}, (out, child) => {
    if (out.includes('weights load')) child.kill('SIGINT')
  })
  expect(code).toBe(exitCodes.interrupted)
  expect(err).toContain('flightdeck show la-0000000001 --follow')
  expect(err).toContain('flightdeck cancel la-0000000001')
  expect(control.asked.map(({ call }) => call)).toEqual(['POST /api/launches', 'GET /api/status'])
})

test('a refusal is told with cause, remedy, code and request id, as text and as JSON', async () => {
  control.answers.set('POST /api/launches', refusal('unknown_model', 404, 'There is no model "x".'))
  const { code, err, out } = await run(['launch', 'x'])
  expect([code, out]).toEqual([exitCodes.usage, ''])
  expect(err).toContain('error: There is no model "x".\nwhat to do: List what can be launched')
  expect(err).toContain('(code unknown_model, request req-7)')
  const json = await run(['launch', 'x', '--json'])
  expect(json.out).toBe('')
  expect(asJson(json.err)).toMatchObject({ error: { code: 'unknown_model', requestId: 'req-7' }, exitCode: 2 })
})

test('each way to be turned away has its exit code', async () => {
  control.answers.set('GET /api/models', refusal('unauthenticated', 401, 'No.'))
  control.answers.set('GET /api/audit?limit=50', refusal('role_too_low', 403, 'No.'))
  control.answers.set('GET /api/offers', refusal('database_unavailable', 503, 'No.'))
  const [models, audit, offers, nowhere, unknown, wrong] = await Promise.all([
    run(['models']),
    run(['audit']),
    run(['offers']),
    run(['status'], { FLIGHTDECK_URL: '', FLIGHTDECK_TOKEN: '' }),
    run(['launch']),
    run(['scale', 'x', 'many', '--json']),
  ])
  expect([models, audit, offers, nowhere, unknown, wrong].map(({ code }) => code)).toEqual([4, 4, 1, 3, 2, 2])
  expect(nowhere.err).toContain('flightdeck up')
  expect(asJson(wrong.err)).toMatchObject({ exitCode: 2 })
})

test('nobody listening is told as such, exit code 3', async () => {
  const other = new FakeControl()
  await other.listen()
  const { url } = other
  await other.close()
  const { code, err } = await run(['status'], { FLIGHTDECK_URL: url })
  expect(code).toBe(exitCodes.unreachable)
  expect(err).toContain('cannot be reached')
})

test('what `up` left in the data folder is used, and its token goes to no other address', async () => {
  control.answer('GET /api/models', { items: [] })
  writeFileSync(join(folder, 'cli.json'), JSON.stringify({ url: control.url, token: 'kept' }))
  const none = { FLIGHTDECK_URL: '', FLIGHTDECK_TOKEN: '' }
  const [kept, other] = await Promise.all([
    run(['models'], none),
    run(['models', '--url', control.url.replace('127.0.0.1', 'localhost')], none),
  ])
  expect(kept.code).toBe(exitCodes.ok)
  expect(control.asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer kept'])
  expect(other.code).toBe(exitCodes.refused)
})

test('a data folder that is named wins over the environment, and a stranger at its address is told apart', async () => {
  control.answer('GET /api/models', { items: [] })
  const named = join(folder, 'second')
  mkdirSync(named)
  writeFileSync(join(named, 'cli.json'), JSON.stringify({ url: control.url, install: 'abcde', token: 'of-second' }))
  expect((await run(['models', '--data', named])).code).toBe(exitCodes.ok)
  expect(control.asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer of-second'])
  control.answers.set('GET /api/models', refusal('unauthenticated', 401, 'No.'))
  const stranger = await run(['models', '--data', named])
  expect([stranger.code, stranger.err]).toEqual([exitCodes.refused, expect.stringContaining(`${named}/cli.json`)])
})

test('where `up` left no token, because the admins have theirs elsewhere, one is asked for', async () => {
  writeFileSync(join(folder, 'cli.json'), JSON.stringify({ url: control.url, install: 'abcde', token: null }))
  const { code, err } = await run(['models'], { FLIGHTDECK_URL: '', FLIGHTDECK_TOKEN: '' })
  expect([code, err]).toEqual([exitCodes.refused, expect.stringContaining('FLIGHTDECK_TOKEN')])
})

test('a token is never sent in the open', async () => {
  const { code, err } = await run(['models', '--url', 'http://control.example.com'])
  expect(code).toBe(exitCodes.usage)
  expect(err).toContain('Use https')
})

test('a node is found by the first letters of its id, and two that fit are refused', async () => {
  const page = { items: [node(), node({ id: 'no-0000000002', name: 'fd-abcde-0000000002' })], nextCursor: null }
  control.answer('GET /api/nodes?limit=500&all=false', page)
  control.answer('POST /api/nodes/no-0000000002/release', { ...node(), state: 'releasing' }, 202)
  const [one, two] = await Promise.all([run(['release', '0000000002', '--json']), run(['release', 'fd-abcde'])])
  expect([one.code, asJson(one.out)]).toMatchObject([exitCodes.ok, { state: 'releasing' }])
  expect([two.code, two.err]).toEqual([exitCodes.usage, expect.stringContaining('could be 2 of the nodes')])
})

test('`nodes NODE` and `nodes show NODE` are one: the witnesses, and the verdict with the row that applied', async () => {
  const judged = node({ verdict: 'degraded', verdictRow: 'cloud-disagrees' })
  const detail = { ...judged, addresses: [], hostname: null, holdChoices: [], ledger: [], timeline: [] }
  control.answer('GET /api/nodes/no-0000000001', detail)
  const [short, long] = await Promise.all([run(['nodes', judged.id]), run(['nodes', 'show', judged.id])])
  expect([short.code, short.err]).toEqual([exitCodes.ok, ''])
  expect(short.out).toContain('degraded by the row cloud-disagrees')
  expect(short.out).toMatch(/heartbeat +good for \d\S+, last word \d\S+ ago/)
  const ageless = (text: string) => text.replace(/\d+[smhd]\w*/g, '')
  expect(ageless(long.out)).toBe(ageless(short.out))
})

test('a new key stands alone on standard output, so that a script can take it', async () => {
  control.answer('POST /api/keys', { id: 'ke-1', name: 'ci', key: 'fd_key_abc' }, 201)
  const { out, err } = await run(['keys', 'create', 'ci'])
  expect(out).toBe('fd_key_abc\n')
  expect(err).toContain('shown this once')
})
