import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { makeVault } from '../../src/lib/vault.ts'
import { joinTokenFor } from '../../src/store/join-token.ts'
import { query } from '../../src/store/test-database.ts'
import { CallFailure, makeClient } from '../../src/wire/client.ts'
import { Hold } from './hold.ts'
import { ledgerIsWhole, type Plane, startPlane } from './plane.ts'
import { startServer } from './server.ts'

let plane: Plane

beforeAll(async () => {
  plane = await startPlane({ scripts: { quick: {}, other: {} } })
})
afterAll(() => plane?.end())

async function refused(call: Promise<unknown>): Promise<CallFailure> {
  const failure = await call.then(
    () => null,
    (error: unknown) => error,
  )
  expect(failure).toBeInstanceOf(CallFailure)
  return failure as CallFailure
}

async function nothingWasMade(): Promise<void> {
  expect((await plane.client.listLaunches({})).items).toEqual([])
  expect((await plane.client.listDeployments({})).items).toEqual([])
  expect(await plane.machines()).toEqual(new Map())
}

const cases: [string, Record<string, unknown>, string, number][] = [
  ['an unknown model', { model: 'no-such-model' }, 'unknown_model', 404],
  ['a wish that no offer fits', { model: 'quick', wish: { gpus: ['H100'], gpuCount: 8 } }, 'no_offer_fits', 422],
  [
    'an argument that runs code',
    { model: 'quick', engineArgs: { middleware: 'evil.Middleware' } },
    'forbidden_argument',
    422,
  ],
  [
    'an argument that opens the machine',
    { model: 'quick', engineArgs: { host: '0.0.0.0' } },
    'forbidden_argument',
    422,
  ],
  [
    'an argument of the wrong kind',
    { model: 'quick', engineArgs: { 'max-model-len': 'many' } },
    'malformed_argument',
    422,
  ],
  ['a field that nobody knows', { model: 'quick', command: ['sh', '-c', 'true'] }, 'bad_request', 400],
]

test.for(cases)('%s is refused with a remedy, and nothing is half made', async ([, body, code, status]) => {
  const failure = await refused(plane.client.createLaunch({ body: body as { model: string } }))
  expect(failure.status).toBe(status)
  expect(failure.error).toMatchObject({ code })
  expect(failure.error.remedy.length).toBeGreaterThan(10)
  await nothingWasMade()
})

test.for(['showNode', 'drainNode', 'releaseNode', 'nodeLogs'] as const)(
  'a node id that is not ours is refused with a remedy by %s',
  async (call) => {
    const failure = await refused(plane.client[call]({ params: { id: 'no-0000000000' } }))
    expect(failure).toMatchObject({ status: 404, error: { code: 'not_found' } })
    expect(failure.error.cause).toBe('There is no node no-0000000000.')
    expect(failure.error.remedy).toMatch(/list/i)
  },
)

test('a key for another model may not use this one, and an unknown key nothing', async () => {
  const launch = await plane.launched('quick')
  await plane.reaches(launch.id, ['live'])
  const key = await plane.key('other-only', ['other'])
  const forbidden = await plane.chat('quick', key)
  expect(forbidden.status).toBe(403)
  expect(await forbidden.json()).toMatchObject({
    error: {
      code: 'model_forbidden',
      param: 'model',
      message: expect.stringMatching(/`quick`; ask for a key that may/),
    },
  })
  const unknown = await plane.chat('quick', 'fd_key_nobody')
  expect(unknown.status).toBe(401)
  expect(await unknown.json()).toMatchObject({
    error: { code: 'invalid_api_key', message: expect.stringMatching(/flightdeck keys create/) },
  })
})

test('a join token that was used is refused, so is a forged one, and the node is told of in its timeline', async () => {
  const launch = await plane.launched('quick', { deployment: 'joined-once' })
  const node = await plane.node(await plane.reaches(launch.id, ['live']))
  const hardware = { hostname: 'stranger', cpus: 1, memoryMib: 1, gpus: [], instanceType: null }
  const body = { instance: 'a-stranger', incarnation: 'a-stranger', agentVersion: '0.1.0', hardware }
  const vault = makeVault(Buffer.from(readFileSync(join(plane.dir, 'secret.key'), 'utf8').trim(), 'hex'))
  const used = joinTokenFor(vault, node.id)
  for (const token of [used, `${used.slice(0, -4)}xxxx`]) {
    const failure = await refused(makeClient({ url: plane.url, token }).join({ body }))
    expect(failure).toMatchObject({ status: 401, error: { code: 'join_token_refused' } })
    expect(failure.error.remedy).toMatch(/once/)
  }
  const { timeline, hostname } = await plane.client.showNode({ params: { id: node.id } })
  expect(hostname).not.toBe('stranger')
  expect(timeline.some(({ kind }) => kind.includes('join'))).toBe(true)
})

test('an agent whose join token ran out is told so and ends, and its launch says so; nothing of it is half made', async () => {
  const server = await startServer()
  const late = await startPlane({
    scripts: { quick: {} },
    databaseUrl: server.url,
    gateway: false,
    config: { launch: { rounds: 1, triesPerOffer: 1 } },
  })
  const hold = await Hold.on(server.url)
  onTestFinished(async () => {
    await hold.close()
    await late.end()
    await server.end()
  })
  await hold.at(['nodes', 'booting'])
  const launch = await late.launched('quick')
  await hold.holds()
  await query({ url: server.url }, `update nodes set join_token_until = now() - interval '1 second'`)
  await hold.lift()
  await late.client.pause({ body: { paused: false } })

  const failed = await late.reaches(launch.id, ['failed'], 60_000)
  expect(failed.failure).toMatchObject({
    code: 'join_token_expired',
    cause: expect.stringMatching(/its join token had expired, at \d{4}-/),
    remedy: expect.stringContaining('--time-limit'),
  })
  const node = await late.node(failed)
  expect(node).toMatchObject({ state: 'gone', hostname: null, agentVersion: null, gpus: [], addresses: [] })
  expect(node.timeline.map(({ text }) => text)).toContain('A join was refused: the token has expired.')
  ledgerIsWhole(node)
  expect(await late.machines()).toEqual(new Map())
  const folder = join(late.dir, 'local/machines', node.name)
  expect(readFileSync(join(folder, 'agent.log'), 'utf8')).toMatch(
    /token was refused .*has expired.* launch again.* ends/,
  )
  expect(readdirSync(folder)).not.toContain('credential.json')
}, 120_000)
