import { type ChildProcess, spawn } from 'node:child_process'
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { codeOf } from '../lib/error-code.ts'
import { EmbeddedError, unless } from './embedded-error.ts'
import { type Folders, type Identity, socketName } from './embedded-files.ts'
import { commandOf, startOf } from './embedded-owner.ts'

const pidFile = 'postmaster.pid'

export interface Cluster {
  folders: Folders
  identity: Identity | undefined
  bin: string
  sharedBuffersMib: number
  maxConnections: number
  durable: boolean
}

/** A server process that answers, and the end of it, whoever started it. */
export interface Postmaster {
  pid: number
  ended: Promise<void>
}

const superuser = 'postgres'
/** A guess: crash recovery of a small database takes seconds, of one with much unflushed work minutes. */
const startLimitMs = 300_000
/** Measured 70 to 110 ms for a fast shutdown; the rest is for slow disks. */
const stopLimitMs = 20_000
const pollMs = 25
/** Bigger logs are put aside at start; a guess at what nobody reads to the end. */
const logLimitBytes = 5_000_000

/** `starting`: a server is there, but lets nobody in (yet, or any more). */
export type Answer = 'ready' | 'starting' | 'absent'

export async function ask(socketDir: string): Promise<Answer> {
  try {
    await query(socketDir, 'postgres', 'select 1')
    return 'ready'
  } catch (error) {
    const code = codeOf(error)
    // A class 57 code is the server's own voice: starting up, shutting down, or ended while we asked.
    return code.startsWith('57') || code === '53300' ? 'starting' : 'absent'
  }
}

export async function query(socketDir: string, database: string, sql: string): Promise<unknown[]> {
  // Everything is named, so that PGPORT or PGSSLMODE of the user's shell changes nothing.
  const client = new Client({
    host: socketDir,
    port: 5432,
    user: superuser,
    database,
    ssl: false,
    connectionTimeoutMillis: 5000,
  })
  // A server that dies under an idle connection must not bring us down; the query below tells the error.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query(sql)).rows as unknown[]
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** The pid of the server that was started here on this cluster and still runs. */
export function livingPostmaster(cluster: string): number | undefined {
  const pid = recordedPid(join(cluster, pidFile))
  return pid !== undefined && startOf(pid) !== undefined && judge(cluster, pid) === 'ours' ? pid : undefined
}

/**
 * After a reset the pid in a stale lock file, of data or socket, may belong to anything, after a crash to a dead server whose parent has
 * not looked yet: either keeps the server from starting. Only what is surely no server of this cluster is forgotten, for two
 * of them would destroy it. The children of a dead one still keep a new one out, by the memory that they share.
 */
export function forgetForeignPid({ cluster, socketDir }: Folders): void {
  for (const file of [join(cluster, pidFile), join(socketDir, `${socketName}.lock`)]) {
    const pid = recordedPid(file)
    if (pid === undefined) continue
    const gone = startOf(pid) === undefined || judge(cluster, pid) === 'foreign'
    if (gone) rmSync(file, { force: true })
  }
}

function recordedPid(file: string): number | undefined {
  const text = unless(['ENOENT'], () => readFileSync(file, 'utf8'))
  const pid = Number(text?.split('\n')[0])
  return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined
}

/** Its command line carries our mark; unlike its working folder, root in a container may always read that. */
function judge(cluster: string, pid: number): 'ours' | 'foreign' | 'unknown' {
  const command = commandOf(pid)
  if (command.includes(`cluster_name=${markOf(cluster)}`)) return 'ours'
  return /cluster_name=flightdeck-/.test(command) || !/postgres/.test(command) ? 'foreign' : 'unknown'
}

/** From the inode, not from the name: a data folder may be renamed under a running server. */
function markOf(cluster: string): string {
  const { dev, ino } = statSync(cluster)
  return `flightdeck-${dev}-${ino}`
}

/** Makes a new cluster, whole or not at all: what an initdb left that was killed is thrown away. */
export async function createCluster(cluster: Cluster): Promise<void> {
  const { folders, identity, bin, durable } = cluster
  const draft = `${folders.cluster}.new`
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft, { mode: 0o700 })
  if (identity) chownSync(draft, identity.uid, identity.gid)
  const hold = openFolders(identity, [draft])
  const flags = [
    '-U',
    superuser,
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
    '--wal-segsize=1',
    ...(durable ? [] : ['--no-sync']),
  ]
  const child = spawn(join(bin, 'initdb'), ['-D', hold.paths[0] ?? draft, ...flags], {
    ...identity,
    cwd: '/',
    env: serverEnv,
    stdio: ['ignore', 'pipe', 'pipe', ...hold.handles],
  })
  hold.close()
  let said = ''
  child.stderr?.on('data', (chunk) => {
    said += chunk
  })
  child.stdout?.resume()
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  if (code !== 0) throw startFailed(`initdb ended with ${code}: ${said.trim()}`)
  renameSync(draft, folders.cluster)
}

/** Waits until a server that is already there answers. Undefined when it ended, or cannot be reached at all. */
export async function adopt(folders: Folders, pid: number, patienceMs = 10_000): Promise<Postmaster | undefined> {
  const began = performance.now()
  while (livingPostmaster(folders.cluster) === pid) {
    const answer = await ask(folders.socketDir)
    if (answer === 'ready') return { pid, ended: endOfStranger(folders.cluster, pid) }
    if (performance.now() - began > (answer === 'starting' ? startLimitMs : patienceMs)) break
    await pause(pollMs)
  }
  return undefined
}

/** We did not start it, so nobody tells us when it ends: we look, twice a second. */
async function endOfStranger(cluster: string, pid: number): Promise<void> {
  while (livingPostmaster(cluster) === pid) await pause(500, undefined, { ref: false })
}

/** Starts the server and waits until it answers. */
export async function launch(cluster: Cluster): Promise<Postmaster> {
  const { folders } = cluster
  rotateLog(folders.logFile)
  const logStart = unless(['ENOENT'], () => statSync(folders.logFile).size) ?? 0
  const child = spawnServer(cluster)
  const pid = child.pid
  let ended = false
  const end = new Promise<void>((resolve) => {
    child.once('exit', () => resolve()).once('error', () => resolve())
  }).then(() => {
    ended = true
  })
  const began = performance.now()
  while (!ended && performance.now() - began < startLimitMs) {
    // Only our own child may answer: another server on this socket would have refused it the cluster.
    if (pid && livingPostmaster(folders.cluster) === pid && (await ask(folders.socketDir)) === 'ready')
      return { pid, ended: end }
    await Promise.race([pause(pollMs), end])
  }
  // One that is still busy recovering is left to it: the next start adopts it.
  throw startFailed(`the server did not start. Its log says: ${logSince(folders.logFile, logStart)}`)
}

function spawnServer({ folders, identity, bin, sharedBuffersMib, maxConnections, durable }: Cluster): ChildProcess {
  const log = openSync(folders.logFile, 'a', 0o600)
  const hold = openFolders(identity, [folders.cluster, folders.socketDir])
  const [data, socket] = hold.paths
  const settings: Record<string, string> = {
    listen_addresses: '',
    shared_buffers: `${sharedBuffersMib}MB`,
    max_connections: String(maxConnections),
    cluster_name: markOf(folders.cluster),
    max_wal_size: '256MB',
    min_wal_size: '16MB',
    // A line every five minutes for ever is not worth a disk.
    log_checkpoints: 'off',
    log_timezone: 'UTC',
    timezone: 'UTC',
    jit: 'off',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  try {
    const child = spawn(join(bin, 'postgres'), ['-D', data ?? '', '-k', socket ?? '', ...flags], {
      ...identity,
      cwd: '/',
      env: serverEnv,
      stdio: ['ignore', log, log, ...hold.handles],
      // A group of its own: Ctrl-C must not end the database before what still writes to it.
      detached: true,
    })
    child.unref()
    return child
  } finally {
    hold.close()
    closeSync(log)
  }
}

/** Ends the server: at once for its clients, cleanly for its files. */
export async function stopServer(cluster: string, pid: number): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (livingPostmaster(cluster) !== pid) return
    unless(['ESRCH'], () => process.kill(pid, signal))
    const began = performance.now()
    while (livingPostmaster(cluster) === pid && performance.now() - began < stopLimitMs) await pause(10)
  }
}

/** The server needs nothing of our environment, and PGDATA or PGPORT in it would do harm. */
const serverEnv = { PATH: '/usr/bin:/bin', LC_ALL: 'C' }

interface HeldFolders {
  paths: string[]
  handles: number[]
  close(): void
}

/**
 * Another user may not be able to walk to our folders (a clone under /root), though they are given to it. So it inherits
 * them open, as descriptors 3 and up, and names them through /proc: nobody else of that user can come in this way.
 */
function openFolders(identity: Identity | undefined, folders: string[]): HeldFolders {
  if (!identity || process.platform !== 'linux') return { paths: folders, handles: [], close: () => undefined }
  const handles = folders.map((folder) => openSync(folder, 'r'))
  const close = (): void => handles.forEach((handle) => void closeSync(handle))
  return { paths: handles.map((_, i) => `/proc/self/fd/${3 + i}`), handles, close }
}

function rotateLog(file: string): void {
  if (existsSync(file) && statSync(file).size > logLimitBytes) renameSync(file, `${file}.1`)
}

function logSince(file: string, start: number): string {
  const text = unless(['ENOENT'], () => readFileSync(file).subarray(start).toString('utf8')) ?? ''
  return text.trim().slice(-2000) || '(nothing)'
}

/** What a new server says while processes of the last one on its cluster are still there. */
export const lastOneStillEnds = /pre-existing shared memory block|lock file ".*" already exists/

function startFailed(message: string): EmbeddedError {
  const remedy = lastOneStillEnds.test(message)
    ? 'Wait until the processes of the last PostgreSQL on this data folder have ended, or end them; then start again.'
    : 'Free disk space or memory if the message says so; else keep the data folder and name a server in DATABASE_URL.'
  return new EmbeddedError('start_failed', `The embedded PostgreSQL cannot be used: ${message}`, remedy)
}
