import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { type Embedded, type EmbeddedOptions, startEmbedded } from './embedded.ts'
import { findBinaries, packagedBinaries } from './embedded-files.ts'
import { livingPostmaster } from './embedded-server.ts'

const isRoot = process.getuid?.() === 0
const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() }
let template: string
let folder: string
let dataDir: string
let running: Embedded[]
let owners: ChildProcess[]

// Making a cluster is the slow part, so all but one test start on a copy of one that was stopped cleanly.
beforeAll(async () => {
  template = mkdtempSync(join(tmpdir(), 'fd-template-'))
  await (await startEmbedded({ dataDir: template, log, durable: false })).stop()
})

afterAll(() => rmSync(template, { recursive: true }))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fd-pg-'))
  dataDir = join(folder, 'data')
  running = []
  owners = []
})

afterEach(async () => {
  for (const owner of owners) owner.kill('SIGKILL')
  for (const server of running) await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** As a careless backup does: the owner and the mode of the folder are lost. */
function copyTemplate(to: string): void {
  cpSync(template, to, { recursive: true })
}

async function start(options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const server = await startEmbedded({ dataDir, log, ...options })
  running.push(server)
  return server
}

async function ask<T>(server: Pick<Embedded, 'connection'>, sql: string): Promise<T[]> {
  const client = new Client(server.connection)
  await client.connect()
  try {
    return (await client.query(sql)).rows as T[]
  } finally {
    await client.end()
  }
}

/** Another process that owns the data folder; resolves when its server answers. `then` is what it does after that. */
async function startOwner(then = 'setInterval(() => {}, 1000)'): Promise<ChildProcess> {
  const script = `
    import { startEmbedded } from ${JSON.stringify(join(import.meta.dirname, 'embedded.ts'))}
    const log = { info() {}, warn() {}, error() {} }
    const server = await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, log })
    console.log('ready')
    ${then}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  owners.push(child)
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the owner ended with ${code}`)))
  ended.catch(() => undefined)
  await Promise.race([once(child.stdout ?? child, 'data'), ended])
  return child
}

async function killHard(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('an empty folder becomes a database that flushes to disk, listens on no port and keeps its rows', async () => {
  const first = await start()
  expect(first.adopted).toBe(false)
  expect(first.connection).toMatchObject({ host: first.socketDir, database: 'flightdeck', user: 'postgres' })
  const settings = await ask<{ name: string; setting: string }>(
    first,
    `select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'listen_addresses', 'max_connections', 'shared_buffers')`,
  )
  expect(Object.fromEntries(settings.map((s) => [s.name, s.setting]))).toEqual({
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    listen_addresses: '',
    max_connections: '100',
    shared_buffers: '4096',
  })
  await ask(first, 'create table kept as select 42 as answer')
  await first.stop()
  expect(livingPostmaster(join(dataDir, 'postgres'))).toBeUndefined()
  expect(await ask(await start(), 'select answer from kept')).toEqual([{ answer: 42 }])
})

test('a server whose owner was killed is adopted as it runs, and stopped like our own', async () => {
  copyTemplate(dataDir)
  const owner = await startOwner()
  const pid = livingPostmaster(join(dataDir, 'postgres'))
  await killHard(owner)
  const server = await start()
  expect(server.adopted).toBe(true)
  expect(livingPostmaster(join(dataDir, 'postgres'))).toBe(pid)
  expect(await ask(server, 'select 1 as one')).toEqual([{ one: 1 }])
  await server.stop()
  expect(livingPostmaster(join(dataDir, 'postgres'))).toBeUndefined()
})

test.each(['started', 'adopted'])(
  'a process that stops the server that it %s lives until that is done, and ends well',
  async (how) => {
    copyTemplate(dataDir)
    if (how === 'adopted') await killHard(await startOwner())
    const owner = await startOwner('await server.stop()')
    expect(await once(owner, 'exit')).toEqual([0, null])
    expect(livingPostmaster(join(dataDir, 'postgres'))).toBeUndefined()
  },
)

test('a start that fails after the server is up takes the server down again', async () => {
  copyTemplate(dataDir)
  const server = await start()
  await ask({ connection: { ...server.connection, database: 'postgres' } }, 'drop database flightdeck with (force)')
  await server.stop()
  appendFileSync(join(dataDir, 'postgres', 'postgresql.conf'), 'default_transaction_read_only = on\n')
  await expect(start()).rejects.toThrow(/read-only/)
  expect(livingPostmaster(join(dataDir, 'postgres'))).toBeUndefined()
  expect(existsSync(join(dataDir, 'postgres.owner'))).toBe(false)
})

test('a second owner is refused with a remedy, and the first one notices nothing', async () => {
  copyTemplate(dataDir)
  const owner = await startOwner()
  await expect(start()).rejects.toMatchObject({
    name: 'EmbeddedError',
    code: 'owned',
    message: expect.stringContaining(String(owner.pid)),
    remedy: expect.stringMatching(/stop/i),
  })
  await killHard(owner)
  const server = await start()
  await expect(startEmbedded({ dataDir, log })).rejects.toMatchObject({ code: 'owned' })
  expect(await ask(server, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('stop cuts off connected clients, may be called twice, and leaves the folder free', async () => {
  copyTemplate(dataDir)
  const server = await start()
  const client = new Client(server.connection)
  const cut = new Promise((resolve) => client.on('error', resolve))
  await client.connect()
  await Promise.all([server.stop(), server.stop(), cut])
  expect(existsSync(join(dataDir, 'postgres.owner'))).toBe(false)
  expect(readdirSync(server.socketDir)).toEqual([])
})

test('a server that dies is started again', async () => {
  copyTemplate(dataDir)
  const server = await start()
  await ask(server, 'create table kept as select 42 as answer')
  const pid = livingPostmaster(join(dataDir, 'postgres')) ?? 0
  process.kill(pid, 'SIGKILL')
  await vi.waitFor(async () => expect(await ask(server, 'select answer from kept')).toEqual([{ answer: 42 }]), {
    timeout: 15_000,
    interval: 50,
  })
  expect(livingPostmaster(join(dataDir, 'postgres'))).not.toBe(pid)
})

/** What a server leaves that had no time to clean up: its locks of the data and of the socket. */
function recordServer(pid: number): void {
  const { uid, gid } = statSync(join(dataDir, 'postgres'))
  mkdirSync(join(dataDir, 'socket'), { recursive: true })
  for (const file of ['postgres/postmaster.pid', 'socket/.s.PGSQL.5432.lock'].map((name) => join(dataDir, name))) {
    writeFileSync(file, `${pid}\n/proc/self/fd/3\n1\n5432\n\n\n`)
    if (isRoot) chownSync(file, uid, gid)
  }
}

test('after a reset, a pid that went to another process does not keep the server from starting', async () => {
  copyTemplate(dataDir)
  recordServer(process.pid)
  expect((await start()).adopted).toBe(false)
})

test('a dead server whose parent has not looked yet does not keep the next one from starting', async () => {
  copyTemplate(dataDir)
  // As the server's own user: of anybody else's process it would not think that it is the last server.
  const { uid, gid } = statSync(join(template, 'postgres'))
  // What the shell becomes knows of no child, so a child that ends then stays in the table of processes as dead.
  const parent = spawn('sh', ['-c', 'sleep 300 & echo $!; exec sleep 300'], {
    uid,
    gid,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  owners.push(parent)
  const pid = Number(String((await once(parent.stdout, 'data'))[0]))
  const shows = (file: string, text: string) =>
    vi.waitFor(() => expect(readFileSync(`/proc/${file}`, 'utf8')).toContain(text), { timeout: 10_000 })
  await shows(`${parent.pid}/comm`, 'sleep')
  process.kill(pid, 'SIGKILL')
  await shows(`${pid}/stat`, ') Z ')
  recordServer(pid)
  expect(await ask(await start(), 'select 1 as one')).toEqual([{ one: 1 }])
})

test('an initdb that was killed half-way is begun anew', async () => {
  mkdirSync(join(dataDir, 'postgres.new', 'base'), { recursive: true })
  expect(await ask(await start({ durable: false }), 'select 1 as one')).toEqual([{ one: 1 }])
  expect(existsSync(join(dataDir, 'postgres.new'))).toBe(false)
})

test('a path too long for a socket gets a short private folder, found again after a rename', async () => {
  dataDir = join(folder, 'deep'.repeat(20), 'deeper'.repeat(10))
  mkdirSync(dirname(dataDir), { recursive: true })
  copyTemplate(dataDir)
  const owner = await startOwner()
  await killHard(owner)
  const renamed = `${dataDir}-renamed`
  renameSync(dataDir, renamed)
  const server = await start({ dataDir: renamed })
  expect(server.adopted).toBe(true)
  expect(Buffer.byteLength(`${server.socketDir}/.s.PGSQL.5432`)).toBeLessThan(100)
  expect(statSync(dirname(server.socketDir)).mode & 0o777).toBe(0o700)
  await server.stop()
  expect(existsSync(dirname(server.socketDir))).toBe(false)
})

test('data of another major version is refused before anything is touched', async () => {
  copyTemplate(dataDir)
  writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '17\n')
  await expect(start()).rejects.toMatchObject({
    code: 'wrong_version',
    remedy: expect.stringContaining('DATABASE_URL'),
  })
  expect(existsSync(join(dataDir, 'postgres.owner'))).toBe(false)
})

test('a server that cannot start says what its log says', async () => {
  copyTemplate(dataDir)
  writeFileSync(join(dataDir, 'postgres', 'postgresql.conf'), 'nonsense = on\n')
  await expect(start()).rejects.toMatchObject({ code: 'start_failed', message: expect.stringContaining('nonsense') })
})

test.runIf(isRoot)(
  'as root, the server is an unprivileged user and still works where that user cannot walk',
  async () => {
    const hidden = join(folder, 'home')
    mkdirSync(hidden, { mode: 0o700 })
    const native = join(hidden, 'package', 'native')
    cpSync(packagedBinaries(), native, { recursive: true, verbatimSymlinks: true })
    cpSync(join(packagedBinaries(), '..', 'package.json'), join(hidden, 'package', 'package.json'))
    const cache = join(folder, 'cache')
    execFileSync('chmod', ['755', folder])
    dataDir = join(hidden, 'data')
    const server = await start({ durable: false, native, caches: [join(hidden, 'cache'), cache] })
    const pid = livingPostmaster(join(dataDir, 'postgres'))
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^Uid:\s+65534\s+65534/m)
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^Groups:\s*$/m)
    expect(existsSync(join(hidden, 'cache'))).toBe(false)
    expect(readdirSync(cache)).toEqual([expect.stringMatching(/^postgres-18/)])
    expect(await ask(server, 'select 1 as one')).toEqual([{ one: 1 }])
  },
)

test('a package whose install script was not run is mended in a copy, and so is a copy that was swept', () => {
  const native = join(folder, 'package', 'native')
  cpSync(packagedBinaries(), native, { recursive: true, verbatimSymlinks: true })
  cpSync(join(packagedBinaries(), '..', 'package.json'), join(folder, 'package', 'package.json'))
  const links = readdirSync(join(native, 'lib')).filter(
    (name) => /\.so(\.\d+)?$/.test(name) && /icu|pq|pgtypes|ecpg/.test(name),
  )
  for (const link of links) rmSync(join(native, 'lib', link))
  const caches = [join(folder, 'cache')]
  const bin = findBinaries(native, dataDir, undefined, caches)
  expect(execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' })).toContain('18')
  rmSync(join(dirname(bin), 'share', 'postgresql', 'timezone'), { recursive: true })
  expect(findBinaries(native, dataDir, undefined, caches)).toBe(bin)
  expect(existsSync(join(dirname(bin), 'share', 'postgresql', 'timezone', 'UTC'))).toBe(true)
})

test('where no binary runs, the refusal names each place and a way out', () => {
  const native = join(folder, 'package', 'native')
  mkdirSync(join(native, 'bin'), { recursive: true })
  for (const name of ['lib/postgresql', 'share/postgresql/timezone']) mkdirSync(join(native, name), { recursive: true })
  writeFileSync(join(folder, 'package', 'package.json'), '{"version":"1"}')
  writeFileSync(join(native, 'bin', 'postgres'), '#!/nowhere\n', { mode: 0o755 })
  const attempt = (): string => findBinaries(native, dataDir, undefined, [join(folder, 'cache')])
  expect(attempt).toThrow(
    expect.objectContaining({ code: 'no_binaries', remedy: expect.stringContaining('DATABASE_URL') }),
  )
  expect(attempt).toThrow(/package.*cache/)
})
