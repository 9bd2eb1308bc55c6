import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exitCodes } from '../../src/cli/exit.ts'
import type { LogLine } from '../../src/wire/views.ts'
import { type Plane, startPlane } from './plane.ts'

const root = join(import.meta.dirname, '../..')
const children = new Set<ChildProcess>()
let plane: Plane

beforeAll(async () => {
  plane = await startPlane({
    scripts: { quick: {}, chatty: { startupMs: 4_000, accessLog: true }, broken: { faults: { exitCode: 1 } } },
    config: { launch: { rounds: 1, triesPerOffer: 1 } },
  })
}, 60_000)
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await plane?.end()
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves when standard output matches. */
  says(pattern: RegExp): Promise<void>
}

/** The real command in a process of its own, speaking to the real control plane. */
function begin(words: readonly string[], { env = {}, input = '' }: { env?: object; input?: string } = {}): Running {
  const child = spawn(process.execPath, [join(root, 'src/main/cli.ts'), ...words], {
    env: { PATH: process.env.PATH, FLIGHTDECK_DATA: plane.dir, NODE_NO_WARNINGS: '1', ...env },
  })
  children.add(child)
  child.stdin.end(input)
  let [out, err] = ['', '']
  const looks = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text
    for (const look of looks) look()
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text
  })
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, out, err })))
  const says = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => pattern.test(out) && resolve()
      looks.add(look)
      look()
      void ended.then(() => reject(new Error(`it ended without ${pattern}: ${out}${err}`)))
    })
  return { child, ended, says }
}

const run = (...words: string[]): Promise<Ended> => begin(words).ended

/** The one JSON document that a command answers with, and nothing beside it. */
async function document(words: readonly string[], input = ''): Promise<Record<string, unknown>> {
  const { code, out, err } = await begin([...words, '--json'], { input }).ended
  expect([words, code, err]).toEqual([words, exitCodes.ok, ''])
  expect(out.trim().split('\n')).toHaveLength(1)
  return JSON.parse(out)
}

test('every command answers as JSON: one document, nothing beside it', async () => {
  const used = new Set<string>()
  const ask = (words: string, input = '') => {
    used.add(words.split(' ')[0] ?? '')
    return document(words.split(' '), input)
  }
  const { id: launch } = await ask('launch quick --detach')
  const live = await plane.reaches(String(launch), ['live'])
  const node = await plane.node(live)
  const reads = [
    'status',
    'models',
    'catalog',
    'offers',
    'unknown',
    'spend',
    'audit',
    'deployments',
    'keys',
    'operators',
  ]
  await Promise.all([...reads, 'secrets', 'launches', 'nodes', `nodes ${node.name}`].map((words) => ask(words)))
  await Promise.all([`show ${launch}`, `transcript ${launch}`, `logs ${node.name}`, 'plan quick'].map((w) => ask(w)))
  await ask('deploy quick --replicas 0 --name none')
  await ask('scale none 0')
  await ask('pause none')
  await ask('resume none')
  await ask('keys create one')
  await ask('keys revoke one')
  await ask('operators create bob --role viewer')
  await ask('operators disable bob')
  await ask('secrets set HF_TOKEN', 'value')
  await ask('secrets delete HF_TOKEN')
  await ask('sweep --arm')
  await ask(`drain ${node.name}`)
  const other = await ask('launch quick --detach')
  const second = await plane.node(await plane.reaches(String(other.id), ['live']))
  await ask(`hold ${second.name} --for 1h`)
  const gone = await ask(`release ${second.name} --wait`)
  expect(gone.state).toBe('gone')
  const cancelled = await ask(`cancel ${(await ask('launch chatty --detach')).id} --wait`)
  expect(cancelled.state).toBe('cancelled')
  const { out } = await run('--help')
  const listed = [...out.matchAll(/^ {2}([a-z]+)(?: \[| <| {2})/gm)].map(([, name]) => name)
  // These two tell of what they start as it happens.
  const streams = ['up', 'rehearse']
  expect([...used].sort()).toEqual(listed.filter((name) => name !== 'help' && !streams.includes(name ?? '')).sort())
}, 240_000)

test('a launch that fails says why and where all of it stands; its transcript has what happened and every line', async () => {
  const { code, err } = await run('launch', 'broken')
  expect(code).toBe(exitCodes.failed)
  expect(err).toMatch(/^error: The engine .*\nwhat to do: .*\n\(code engine_exited\)/m)
  const id = /flightdeck transcript (la-\w+)/.exec(err)?.[1] ?? ''
  const { out } = await run('transcript', id)
  expect(out).toContain('* intended -> requesting (placed).')
  expect(out).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}\[agent\] /m)
  const times = out.split('\n').map((line) => line.slice(0, 12))
  expect(times.slice(0, -1)).toEqual(times.slice(0, -1).sort())
}, 120_000)

test('a plan that would be refused is printed as a whole, also as JSON, and ends with the exit code of the refused launch', async () => {
  const words = ['plan', 'quick', '--gpu', 'H100']
  const { code, out, err } = await run(...words)
  expect([code, err]).toEqual([exitCodes.usage, ''])
  expect(out).toMatch(
    /^would launch {2}quick .*would be refused: .*GPU.*\(code no_offer_fits\)\nNothing was started\.\n$/s,
  )
  const json = await run(...words, '--json')
  expect([json.code, json.err]).toEqual([exitCodes.usage, ''])
  expect(JSON.parse(json.out)).toMatchObject({ model: 'quick', offers: [], refusals: [{ code: 'no_offer_fits' }] })
  expect((await run('launch', ...words.slice(1))).code).toBe(code)
})

test('a list is cut where it was asked to be, says so, and goes on from there', async () => {
  for (const name of ['page-a', 'page-b', 'page-c'])
    await plane.client.createOperator({ body: { name, role: 'viewer' } })
  const words = ['audit', '--action', 'operator', '--limit', '2']
  const first = await run(...words)
  const cursor = /--after (\S+)/.exec(first.err)?.[1] ?? ''
  expect([first.code, first.out.trim().split('\n').length]).toEqual([exitCodes.ok, 3])
  const next = await run(...words, '--after', cursor)
  expect(next.out).toContain('page-a')
  expect(first.out + next.out).not.toContain('launch.create')
  const wrong = await run('launches', '--after', 'nonsense')
  expect([wrong.code, wrong.err]).toEqual([exitCodes.usage, expect.stringContaining('cursor')])
}, 120_000)

test('a node that is not ours is refused with what to do, by its id and by a name, whatever is asked of it', async () => {
  for (const words of [
    'nodes NODE',
    'nodes show NODE',
    'drain NODE',
    'release NODE --wait',
    'logs NODE',
    'logs NODE -f',
  ]) {
    const [byId, byName] = await Promise.all([
      run(...words.replace('NODE', 'no-0000000000').split(' ')),
      run(...words.replace('NODE', 'nobody').split(' ')),
    ])
    expect([words, byId.code, byId.out]).toEqual([words, exitCodes.usage, ''])
    expect(byId.err).toMatch(/^error: There is no node no-0000000000\.\nwhat to do: .*list.*\n\(code not_found/)
    expect([words, byName.code, byName.out]).toEqual([words, exitCodes.usage, ''])
    expect(byName.err).toMatch(/^error: There is no node "nobody"\.\nwhat to do: .*flightdeck nodes --all/)
  }
}, 120_000)

test('a log is followed line by line, until Ctrl-C or until its node is gone', async () => {
  const launch = await plane.launched('chatty')
  const { id } = await plane.node(await plane.reaches(launch.id, ['attempting']))
  const [stopped, asJson] = [begin(['logs', id, '-f']), begin(['logs', id, '-f', '--json'])]
  await Promise.all([stopped.says(/Application startup complete/), asJson.says(/Application startup complete/)])
  stopped.child.kill('SIGINT')
  expect(await stopped.ended).toMatchObject({ code: exitCodes.interrupted, err: '' })
  await plane.reaches(launch.id, ['live'])
  await plane.chat('chatty', await plane.key())
  await asJson.says(/POST \/v1\/chat\/completions/)
  await plane.client.releaseNode({ params: { id } })
  const { code, out } = await asJson.ended
  expect(code).toBe(exitCodes.ok)
  const lines = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LogLine)
  expect(lines.map(({ n }) => n)).toEqual(lines.map((_, i) => (lines[0]?.n ?? 0) + i))
}, 120_000)

test('a start that cannot be says what to do, ends with its code, and leaves no database behind', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'fd-cli-up-'))
  const config = join(dir, 'wrong.json')
  writeFileSync(config, '{"listen":{"prt":1}}')
  const free = ['--port', '0', '--gateway-port', '0']
  const cases: [string[], object, RegExp][] = [
    [['--config', config], {}, /prt/],
    [['--port', String(plane.port)], {}, /another program listens there/],
    [['--port', '0', '--gateway-port', String(plane.gatewayPort)], {}, /another program listens there/],
    [free, { DATABASE_URL: 'postgres://127.0.0.1:1/x' }, /cannot be used/],
    [['--data', plane.dir, ...free], {}, /already uses this data folder/],
  ]
  for (const [words, env, cause] of cases) {
    const { out, ...ended } = await begin(['up', '--data', join(dir, 'data'), ...words, '--json'], { env }).ended
    const told = JSON.parse(ended.err.trim().split('\n').at(-1) ?? '')
    expect([words, ended.code, out, told.error.code]).toEqual([words, exitCodes.failed, '', 'cannot_start'])
    expect(told.error.cause).toMatch(cause)
    expect(told.error.remedy.length).toBeGreaterThan(10)
    expect(existsSync(join(dir, 'data/postgres/postmaster.pid')), words.join(' ')).toBe(false)
  }
  rmSync(dir, { recursive: true, force: true })
}, 240_000)
