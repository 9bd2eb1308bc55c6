import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { signalProcess } from '../../src/clouds/local/processes.ts'
import { freePort } from '../../src/main/ports.ts'
import { query } from '../../src/store/test-database.ts'
import { makeClient } from '../../src/wire/client.ts'
import { OldPostgresql } from './old-postgresql.ts'
import { processesAbout, until } from './plane.ts'
import { startServer } from './server.ts'

const cli = join(import.meta.dirname, '../../src/main/cli.ts')
let dir: string
let children: ChildProcess[]
const ended: (() => Promise<void>)[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-start-'))
  children = []
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  // What a failed test left: its own folder is in the command or the environment of everything that it started.
  for (const pid of processesAbout(dir)) signalProcess(pid, 'SIGKILL')
  rmSync(dir, { recursive: true, force: true })
})
afterAll(async () => {
  for (const end of ended.splice(0)) await end()
})

interface Started {
  readonly child: ChildProcess
  readonly out: () => string
  readonly err: () => string
  /** Resolves when it says that it is ready; rejects when it ends before. */
  readonly ready: Promise<void>
  readonly code: Promise<number | null>
}

const data = (name = 'data') => join(dir, name)

/** `flightdeck up` as a user starts it, on ports of its own choice. */
function up(words: string[] = [], env: Record<string, string> = {}): Started {
  const ports = ['--port', '0', '--gateway-port', '0']
  const own = { DATABASE_URL: '', FLIGHTDECK_DATA: data(), FLIGHTDECK_LOG_LEVEL: 'warn', ...env }
  return run(['up', ...ports, ...words], own)
}

function run(words: string[], env: Record<string, string>): Started {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', cli, ...words], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let [out, err] = ['', '']
  // Not its `close`: a gateway that outlives it holds the same pipe.
  const code = once(child, 'exit').then(([code]) => code as number | null)
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (text) => {
      out += text
      if (/^Ready\./m.test(out)) resolve()
    })
    code.then((code) => reject(new Error(`ended with ${code}: ${out}${err}`)), reject)
  })
  ready.catch(() => undefined)
  child.stderr?.on('data', (text) => {
    err += text
  })
  return { child, out: () => out, err: () => err, ready, code }
}

const nothingRuns = () =>
  until(
    () => processesAbout(dir).length === 0,
    5_000,
    () => `still running: ${processesAbout(dir).join(', ')}`,
  )

async function database(): Promise<string> {
  const server = await startServer()
  ended.push(server.end)
  return server.url
}

const cliJson = (name = 'data') =>
  JSON.parse(readFileSync(join(data(name), 'cli.json'), 'utf8')) as { url: string; token: string }

test.each(['embedded', 'DATABASE_URL'])(
  'a second start on one data folder is refused and harms nothing: %s',
  async (kind) => {
    const env = { DATABASE_URL: kind === 'embedded' ? '' : await database() }
    const first = up([], env)
    await first.ready
    const before = ['cli.json', 'ports.json'].map((file) => readFileSync(join(data(), file), 'utf8'))
    const second = up(['--port', String(await freePort('127.0.0.1'))], env)
    expect(await second.code).toBe(1)
    expect(second.err()).toContain(`Process ${first.child.pid} already uses this data folder.`)
    expect(second.err()).toMatch(/what to do: .*another data folder/)
    expect(['cli.json', 'ports.json'].map((file) => readFileSync(join(data(), file), 'utf8'))).toEqual(before)
    expect((await fetch(`${cliJson().url}/api/health`)).status).toBe(200)
    first.child.kill('SIGINT')
    expect(await first.code).toBe(0)
    expect(existsSync(join(data(), 'cli.json'))).toBe(false)
    await nothingRuns()
  },
  120_000,
)

test('it is ready once the gateway takes requests, and shows every loop from then on', async () => {
  const started = up()
  await started.ready
  const gateway = /^Gateway .*: (http:\S+)\/v1$/m.exec(started.out())?.[1]
  expect((await fetch(`${gateway}/health`)).status).toBeGreaterThanOrEqual(200)
  const { loops } = await makeClient(cliJson()).status()
  const all = ['deployment', 'health', 'launch', 'node', 'offers', 'samples', 'sight', 'spend', 'sweep']
  expect(loops.map(({ loop }) => loop).sort()).toEqual(all)
  started.child.kill('SIGTERM')
  expect(await started.code).toBe(0)
}, 60_000)

const taken = async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return { server, port: String(typeof address === 'object' ? address?.port : 0) }
}

test.each(['--port', '--gateway-port'])(
  'where %s is taken, the start says so with a way out and leaves no process behind',
  async (flag) => {
    const { server, port } = await taken()
    const start = up([flag, port])
    expect(await start.code).toBe(1)
    expect(start.err()).toContain(`Nothing can be served at 127.0.0.1:${port}: another program listens there.`)
    expect(start.err()).toMatch(/what to do: .*choose another port/)
    expect(existsSync(join(data(), 'cli.json'))).toBe(false)
    await nothingRuns()
    server.close()
    const again = up()
    await again.ready
    again.child.kill('SIGTERM')
    expect(await again.code).toBe(0)
    await nothingRuns()
  },
  120_000,
)

test('a secret key that is not the one of the data, and clouds that could not reach us: told, and nothing is left', async () => {
  const first = up()
  await first.ready
  first.child.kill('SIGINT')
  expect(await first.code).toBe(0)
  const wrongKey = up([], { FLIGHTDECK_SECRET_KEY: 'ab'.repeat(32) })
  expect(await wrongKey.code).toBe(1)
  expect(wrongKey.err()).toMatch(/The secret key is not the one.*\n.*what to do: Put the old secret.key back/)
  await nothingRuns()
  const config = join(dir, 'sky.json')
  writeFileSync(config, JSON.stringify({ skypilot: { url: 'http://127.0.0.1:9', clouds: { aws: {} } } }))
  const refused = up(['--config', config])
  expect(await refused.code).toBe(1)
  expect(refused.err()).toMatch(/FLIGHTDECK_PUBLIC_URL is not set.*FLIGHTDECK_PUBLIC_GATEWAY_URL is not set/)
  expect(refused.out(), 'nothing was built or started to tell it').not.toContain('data in')
  await nothingRuns()
}, 120_000)

test('Ctrl-C while it starts ends what was started, exit code 0', async () => {
  const start = up()
  await until(
    () => start.out().includes('Database:'),
    20_000,
    () => `it says nothing: ${start.err()}`,
  )
  start.child.kill('SIGINT')
  expect(await start.code).toBe(0)
  expect(start.out()).not.toContain('Ready.')
  await nothingRuns()
}, 120_000)

test('it outlives whoever reads what it says, and a closed terminal stops it in order, however often it is told', async () => {
  const start = up([], { FLIGHTDECK_LOG_LEVEL: 'info' })
  await start.ready
  start.child.stdout?.destroy()
  start.child.stderr?.destroy()
  // As a terminal does it: to us, and through npm above us once more.
  for (const signal of ['SIGHUP', 'SIGHUP', 'SIGTERM'] as const) start.child.kill(signal)
  expect(await start.code).toBe(0)
  expect(existsSync(join(data(), 'cli.json'))).toBe(false)
  await nothingRuns()
}, 120_000)

test('killed and started again it adopts its database and its gateway, and Ctrl-C then ends all, exit code 0', async () => {
  const killed = up()
  await killed.ready
  const gateway = () => JSON.parse(readFileSync(join(data(), 'gateway/process.json'), 'utf8')) as { pid: number }
  const before = gateway()
  const postmaster = () => readFileSync(join(data(), 'postgres/postmaster.pid'), 'utf8').split('\n')[0]
  const server = postmaster()
  const told = /^Admin token, shown this once \(also in (\S+)\): (\S+)$/m.exec(killed.out())
  expect(told?.slice(1)).toEqual([join(data(), 'admin.token'), cliJson().token])
  expect(killed.out()).toMatch(/^Control API: http:.*\nGateway .*\nDashboard: /m)
  killed.child.kill('SIGKILL')
  await killed.code
  const heir = up()
  await heir.ready
  expect([gateway(), postmaster()]).toEqual([before, server])
  heir.child.kill('SIGINT')
  expect(await heir.code).toBe(0)
  expect(heir.err()).toBe('')
  expect(heir.out()).not.toContain(told?.[2])
  await nothingRuns()
}, 120_000)

test('with two control planes on this machine, each folder leads the command line to its own', async () => {
  const [one, two] = [up(), up(['--data', data('second')])]
  await Promise.all([one.ready, two.ready])
  expect(two.out()).toContain(`bin/flightdeck --data ${data('second')} launch`)
  const asked = await Promise.all(
    [[], ['--data', data('second')]].map(async (words) => {
      const asking = run(['status', '--json', ...words], { FLIGHTDECK_DATA: data() })
      expect(await asking.code).toBe(0)
      return (JSON.parse(asking.out()) as { install: string }).install
    }),
  )
  expect(asked).toEqual([cliJson(), cliJson('second')].map((kept) => (kept as { install?: string }).install))
  expect(new Set(asked).size).toBe(2)
}, 120_000)

// What kysely's migrator locks. Whoever holds it here lets go once two others wait for it at the same moment.
const bothAtTheDoor = `do $$ begin
  perform pg_advisory_xact_lock(3853314791062309107);
  while (select count(*) from pg_locks where locktype = 'advisory' and not granted) < 2 loop perform pg_sleep(0.01); end loop;
end $$`

test('two control planes that start at once on an empty database make its tables one after the other, once, and both are ready', async () => {
  const url = await database()
  const ask = (sql: string) => query({ url }, sql)
  expect(await ask(`select from pg_tables where schemaname = 'public'`)).toEqual([])
  const bothWaited = ask(bothAtTheDoor)
  await until(
    async () => (await ask(`select from pg_locks where locktype = 'advisory' and granted`)).length > 0,
    10_000,
    () => 'the lock is not taken',
  )
  const env = { DATABASE_URL: url, FLIGHTDECK_SECRET_KEY: 'ab'.repeat(32) }
  const both = ['one', 'two'].map((name) => up(['--no-gateway', '--data', data(name)], env))
  await Promise.all([bothWaited, ...both.map(({ ready }) => ready)])
  const names = (await ask('select name from kysely_migration order by name')).map(({ name }) => `${name}.ts`)
  const files = readdirSync(join(import.meta.dirname, '../../src/store/migrations')).sort()
  expect(names).toEqual(files.filter((file) => !file.endsWith('.test.ts')))
  expect(await ask('select id from install')).toHaveLength(1)
  expect(await ask('select id from operators')).toHaveLength(1)
  for (const { child } of both) child.kill('SIGTERM')
  expect(await Promise.all(both.map(({ code }) => code))).toEqual([0, 0])
  expect(both.map(({ err }) => err())).toEqual(['', ''])
  await nothingRuns()
}, 120_000)

test('a second control plane on one database says that the admins have their tokens elsewhere, and keeps no dud', async () => {
  const env = { DATABASE_URL: await database() }
  const one = up([], env)
  await one.ready
  cpSync(join(data(), 'secret.key'), join(dir, 'second', 'secret.key'), { recursive: true })
  const two = up(['--data', data('second')], env)
  await two.ready
  expect(two.out()).toMatch(/has its admins already: the command line here needs a token/)
  expect(existsSync(join(data('second'), 'admin.token'))).toBe(false)
  const without = run(['status', '--data', data('second')], {})
  expect(await without.code).toBe(4)
  const token = readFileSync(join(data(), 'admin.token'), 'utf8')
  const given = run(['status', '--data', data('second'), '--token', token], {})
  expect(await given.code).toBe(0)
}, 120_000)

const cases: [string, string, RegExp][] = [
  ['nobody listens', 'postgres://ann:hunter2@127.0.0.1:1/fleet', /Start that server or correct DATABASE_URL/],
  ['the socket is not there', 'postgres://ann@/fleet?host=/nowhere', /Start that server or correct DATABASE_URL/],
]
test.each(cases)(
  'a database that cannot be used is told with a way out, never with its password: %s',
  async (_, url, remedy) => {
    const start = up([], { DATABASE_URL: url })
    expect(await start.code).toBe(1)
    expect(start.err()).toMatch(remedy)
    expect(start.out() + start.err()).not.toContain('hunter2')
    await nothingRuns()
  },
)

test('a database that the server does not have is told by name', async () => {
  const url = (await database()).replace('/flightdeck?', '/fleet?')
  const start = up([], { DATABASE_URL: url })
  expect(await start.code).toBe(1)
  expect(start.err()).toMatch(/"fleet" does not exist[\s\S]*createdb/)
})

test('a server that is too old is refused with its version and a way out, before it is told to make anything', async () => {
  const old = new OldPostgresql('130023', '13.23 (Debian 13.23-1)')
  ended.push(() => old.stop())
  const start = up([], { DATABASE_URL: await old.start() })
  expect(await start.code).toBe(1)
  expect(start.err()).toMatch(/it is PostgreSQL 13\.23 .*14 is the oldest[\s\S]*name one of PostgreSQL 14 or newer/)
  expect(old.asked).toEqual([expect.stringMatching(/^select current_setting/)])
  await nothingRuns()
})
