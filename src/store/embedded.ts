import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Log } from '../lib/log.ts'
import { inDataFolder } from './embedded-error.ts'
import {
  chooseIdentity,
  findBinaries,
  inspectCluster,
  packagedBinaries,
  prepareFolders,
  prepareSocketDir,
} from './embedded-files.ts'
import { type Ownership, owned, takeOwnership } from './embedded-owner.ts'
import {
  adopt,
  ask,
  type Cluster,
  createCluster,
  forgetForeignPid,
  lastOneStillEnds,
  launch,
  livingPostmaster,
  type Postmaster,
  query,
  stopServer,
} from './embedded-server.ts'

export interface EmbeddedOptions {
  dataDir: string
  log: Pick<Log, 'info' | 'warn' | 'error'>
  sharedBuffersMib?: number
  maxConnections?: number
  /** False only where the data may be lost at any time: nothing is flushed to disk. */
  durable?: boolean
  /** The package's folder `native`; for tests. */
  native?: string
  /** Where copies of the binaries may go, best first; for tests. */
  caches?: string[]
}

export interface Embedded {
  socketDir: string
  /** As the driver takes it. There is no password: who can enter the socket's folder is let in. */
  connection: { host: string; port: number; database: string; user: string }
  /** The server had outlived a killed owner and was taken over as it ran. */
  adopted: boolean
  /** Ends the server cleanly and gives the data folder free. Clients that are still connected are cut off. */
  stop(): Promise<void>
}

const database = 'flightdeck'

/**
 * Runs PostgreSQL on the data folder until `stop`, restarting it when it dies; there is no port, only a socket.
 * Dying without `stop` leaves the server running: whoever starts next adopts it. Throws `EmbeddedError`.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const folders = prepareFolders(options.dataDir)
  const ownership = inDataFolder(() => takeOwnership(folders.ownerFile))
  let started: Postmaster | undefined
  try {
    // Pids of another container mean nothing here, but a server that answers has an owner that lives.
    if (ownership.takenFromElsewhere && (await ask(folders.socketDir)) !== 'absent')
      throw owned('(in another container)')
    const identity = chooseIdentity(folders.cluster)
    const fresh = inspectCluster(folders.cluster, identity) === 'absent'
    prepareSocketDir(folders.socketDir, identity)
    const left = fresh ? undefined : await adoptOrEnd(folders)
    const native = options.native ?? packagedBinaries()
    const cluster: Cluster = {
      folders,
      identity,
      bin: findBinaries(native, folders.dataDir, identity, options.caches),
      sharedBuffersMib: options.sharedBuffersMib ?? 32,
      maxConnections: options.maxConnections ?? 100,
      durable: options.durable ?? true,
    }
    if (fresh) await createCluster(cluster)
    started = left ?? (await launchPatiently(cluster, options.log))
    await ensureDatabase(folders.socketDir)
    options.log.info({ pid: started.pid, dataDir: folders.dataDir, adopted: !!left }, 'embedded PostgreSQL is ready')
    return supervise(cluster, started, { adopted: !!left, ownership, log: options.log })
  } catch (error) {
    if (started) await stopServer(folders.cluster, started.pid)
    ownership.release()
    return inDataFolder(() => {
      throw error
    })
  }
}

/** A server that cannot be reached any more (its socket was swept away) is ended, so that it can be started anew. */
async function adoptOrEnd(folders: Cluster['folders']): Promise<Postmaster | undefined> {
  const pid = livingPostmaster(folders.cluster)
  if (pid !== undefined) {
    const adopted = await adopt(folders, pid)
    if (adopted) return adopted
    await stopServer(folders.cluster, pid)
  }
  forgetForeignPid(folders)
  return undefined
}

/** A killed server and its children take a moment to be gone, and no new one starts before. */
async function launchPatiently(cluster: Cluster, log: EmbeddedOptions['log'], attempts = 20): Promise<Postmaster> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch(cluster)
    } catch (error) {
      if (!lastOneStillEnds.test(String(error)) || attempt >= attempts) throw error
      log.warn({ attempt }, 'processes of the last PostgreSQL are still ending; trying again')
      await pause(250)
      forgetForeignPid(cluster.folders)
    }
  }
}

async function ensureDatabase(socketDir: string): Promise<void> {
  const found = await query(socketDir, 'postgres', `select 1 from pg_database where datname = '${database}'`)
  if (found.length === 0) await query(socketDir, 'postgres', `create database ${database}`)
}

interface Supervision {
  adopted: boolean
  ownership: Ownership
  log: EmbeddedOptions['log']
}

function supervise(cluster: Cluster, first: Postmaster, { adopted, ownership, log }: Supervision): Embedded {
  const { folders } = cluster
  const quit = new AbortController()
  const watching = keepAlive(cluster, first, quit.signal, log)
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    quit.abort()
    const pid = livingPostmaster(folders.cluster)
    if (pid !== undefined) await stopServer(folders.cluster, pid)
    await stayingAlive(watching)
    const { socketDir } = folders
    if (!socketDir.startsWith(folders.dataDir)) rmSync(dirname(socketDir), { recursive: true, force: true })
    ownership.release()
  }
  const remember = (): Promise<void> => {
    stopped ??= stop()
    return stopped
  }
  const connection = { host: folders.socketDir, port: 5432, database, user: 'postgres' }
  return { socketDir: folders.socketDir, connection, adopted, stop: remember }
}

/** A server that was adopted, or let go of, does not keep this process alive until its end has been seen. */
async function stayingAlive(work: Promise<void>): Promise<void> {
  const hold = setInterval(() => undefined, 60_000)
  await work.finally(() => clearInterval(hold))
}

/** Starts the server again whenever it ends, until told to quit; a server that came up meanwhile is ended then. */
async function keepAlive(
  cluster: Cluster,
  first: Postmaster,
  quit: AbortSignal,
  log: EmbeddedOptions['log'],
): Promise<void> {
  let current = first
  for (let failures = 0; ; ) {
    await current.ended
    if (quit.aborted) return
    log.error(
      { pid: current.pid, logFile: cluster.folders.logFile },
      'embedded PostgreSQL ended by itself; starting it again',
    )
    try {
      current = await launchPatiently(cluster, log)
      failures = 0
      log.info({ pid: current.pid }, 'embedded PostgreSQL is back')
      if (quit.aborted) await stopServer(cluster.folders.cluster, current.pid)
    } catch (error) {
      log.error({ err: error }, 'embedded PostgreSQL does not start')
      // Cut short by the order to quit, which is looked at next.
      await pause(Math.min(30_000, 1000 * 2 ** failures++), undefined, { ref: false, signal: quit }).catch(
        () => undefined,
      )
    }
  }
}
