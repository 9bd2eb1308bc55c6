import { Kysely, PostgresDialect, type PostgresPool, sql, type Transaction } from 'kysely'
import { Migrator } from 'kysely/migration'
import pg from 'pg'
import { makeFleetSize } from './fleet-size.ts'
import { spine } from './migrations/0001_spine.ts'
import { asks } from './migrations/0002_asks.ts'
import { authority } from './migrations/0005_authority.ts'
import { agentProtocolColumn } from './migrations/0006_agent_protocol.ts'
import { sizes } from './migrations/0007_sizes.ts'
import { fallbacks } from './migrations/0008_fallbacks.ts'
import { steps } from './migrations/0009_steps.ts'
import { offerReads } from './migrations/0010_offer_reads.ts'
import { waits } from './migrations/0011_waits.ts'
import { auditByTime } from './migrations/0012_audit_by_time.ts'
import { notices } from './migrations/0014_notices.ts'
import { launchTimes } from './migrations/0015_launch_times.ts'
import { replacements } from './migrations/0016_replacements.ts'
import { gpuFaults } from './migrations/0017_gpu_faults.ts'
import { hold } from './migrations/0018_hold.ts'
import { sessions } from './migrations/0019_sessions.ts'
import { samples } from './migrations/0020_samples.ts'
import { ownModels } from './migrations/0021_own_models.ts'
import { guard } from './migrations/0022_guard.ts'
import { oneInstall } from './migrations/0023_one_install.ts'
import { deploymentTerms } from './migrations/0024_deployment_terms.ts'
import { askedTerms } from './migrations/0025_asked_terms.ts'
import { signalsSince } from './migrations/0026_signals_since.ts'
import { openRequests } from './migrations/0029_open_requests.ts'
import type { Database } from './tables.ts'

pg.types.setTypeParser(pg.types.builtins.INT8, Number)
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => Date.parse(text))

export type Tx = Transaction<Database>
export type Db = Kysely<Database>

export interface Store {
  readonly db: Db
  readonly pool: PoolFigures
  /** How many nodes speak to us, as of the last minute. */
  fleetSize(): Promise<number>
  /** Calls back for each topic that the database tells of (`node:<id>`, `routes`, `nudge:<loop>`); reconnects by itself. */
  listen(hear: (topic: string) => void): Promise<() => Promise<void>>
  close(): Promise<void>
}

export interface PoolFigures {
  readonly size: number
  waitingNow(): number
  longestWaitMs(): number
  waits(): { readonly count: number; readonly totalMs: number }
  /** Statements since the start, without the begin and the end of transactions. */
  statements(): number
}

/** Where the database is: a URL, or socket folder, database and user of the embedded one. */
export type Connection =
  | { readonly url: string }
  | { readonly host: string; readonly database: string; readonly user: string }

// A process that is stopped in a transaction keeps its locks; the server lets go for it, so that others can work on.
const stallMs = 10_000

/**
 * Opens a pool of `poolSize` connections and brings the tables up to date. Several servers may do so at once. A
 * transaction that nobody works on for `idleInTransactionMs` is ended by the database.
 */
export async function openStore(
  connection: Connection,
  poolSize: number,
  idleInTransactionMs = stallMs,
): Promise<Store> {
  const config = 'url' in connection ? { connectionString: connection.url } : connection
  await migrate(config)
  const pool = new pg.Pool({
    ...config,
    max: poolSize,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: 10_000,
    idle_in_transaction_session_timeout: idleInTransactionMs,
    lock_timeout: 2 * stallMs,
    statement_timeout: 3 * stallMs,
    application_name: 'flightdeck',
  })
  // A connection that breaks, idle or in use, is replaced at the next use; without a listener it would end the process.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  const measured = measure(pool, poolSize)
  let statements = 0
  const count = () => {
    statements += 1
  }
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: measured.pool }), log: count })
  const figures = { ...measured.figures, statements: () => statements }
  const fleetSize = makeFleetSize(db)
  return { db, pool: figures, fleetSize, listen: (hear) => listen(config, hear), close: () => db.destroy() }
}

/** On a connection of its own, without the limits: a table may take its time to change. */
async function migrate(config: pg.PoolConfig): Promise<void> {
  const pool = new pg.Pool({ ...config, max: 1, application_name: 'flightdeck-migrate' })
  // It may still be closing when the database goes away, which the pool and each client would tell as an error.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  const provider = {
    getMigrations: async () => ({
      '0001_spine': spine,
      '0002_asks': asks,
      '0005_authority': authority,
      '0006_agent_protocol': agentProtocolColumn,
      '0007_sizes': sizes,
      '0008_fallbacks': fallbacks,
      '0009_steps': steps,
      '0010_offer_reads': offerReads,
      '0011_waits': waits,
      '0012_audit_by_time': auditByTime,
      '0014_notices': notices,
      '0015_launch_times': launchTimes,
      '0016_replacements': replacements,
      '0017_gpu_faults': gpuFaults,
      '0018_hold': hold,
      '0019_sessions': sessions,
      '0020_samples': samples,
      '0021_own_models': ownModels,
      '0022_guard': guard,
      '0023_one_install': oneInstall,
      '0024_deployment_terms': deploymentTerms,
      '0025_asked_terms': askedTerms,
      '0026_signals_since': signalsSince,
      '0029_open_requests': openRequests,
    }),
  }
  try {
    await refuseOldServer(pool)
    // None builds on another one but the first, and they land in the order in which they are done.
    const { error } = await new Migrator({ db, provider, allowUnorderedMigrations: true }).migrateToLatest()
    if (error) throw error
  } finally {
    await db.destroy()
  }
}

/** What is promised, and what the tests of all that is kept pass on: test/real/oldest-postgresql.test.ts. */
const oldestMajor = 14

/** Before it is asked for anything that it does not know. */
export class OldServerError extends Error {
  readonly code = 'old_server'
}

async function refuseOldServer(pool: pg.Pool): Promise<void> {
  const asked = `select current_setting('server_version_num') as number, current_setting('server_version') as version`
  const { rows } = await pool.query<{ number: string; version: string }>(asked)
  if (Number(rows[0]?.number) >= oldestMajor * 10_000) return
  throw new OldServerError(`it is PostgreSQL ${rows[0]?.version}, and ${oldestMajor} is the oldest that works`)
}

function measure(pool: pg.Pool, size: number): { pool: PostgresPool; figures: Omit<PoolFigures, 'statements'> } {
  let longest = 0
  const waits = { count: 0, totalMs: 0 }
  return {
    pool: {
      options: pool.options,
      async connect() {
        const asked = performance.now()
        const client = await pool.connect()
        const waited = performance.now() - asked
        longest = Math.max(longest, waited)
        waits.count += 1
        waits.totalMs += waited
        return client
      },
      end: () => pool.end(),
    },
    figures: { size, waitingNow: () => pool.waitingCount, longestWaitMs: () => longest, waits: () => ({ ...waits }) },
  }
}

/** One connection of its own for LISTEN. After a gap everything may have changed, so every listener hears `gap`. */
async function listen(config: pg.ClientConfig, hear: (topic: string) => void): Promise<() => Promise<void>> {
  let closed = false
  let client: pg.Client | undefined
  let retry: NodeJS.Timeout | undefined
  const connect = async (): Promise<void> => {
    const fresh = new pg.Client({ ...config, application_name: 'flightdeck-listen', keepAlive: true })
    fresh.on('notification', ({ payload }) => payload && hear(payload))
    fresh.on('error', () => undefined)
    fresh.on('end', again)
    await fresh.connect()
    await fresh.query('listen flightdeck')
    client = fresh
  }
  const again = () => {
    if (closed || retry) return
    retry = setTimeout(() => {
      retry = undefined
      connect().then(() => hear('gap'), again)
    }, 500)
  }
  await connect()
  return async () => {
    closed = true
    clearTimeout(retry)
    await client?.end()
  }
}

/** Tells every listener of every server; part of the transaction, so it is heard only if that commits. */
export async function tell(db: Db | Tx, topics: readonly string[]): Promise<void> {
  if (topics.length === 0) return
  await sql`select pg_notify('flightdeck', topic) from unnest(${[...new Set(topics)]}::text[]) as topic`.execute(db)
}

export const at = (ms: number): Date => new Date(ms)
export const maybeAt = (ms: number | null): Date | null => (ms === null ? null : new Date(ms))
/** A column of times as epoch ms, where the database makes JSON of it. */
export const ms = (column: string) => sql`extract(epoch from ${sql.ref(column)}) * 1000`
export const json = (value: unknown): string => JSON.stringify(value)
export const maybeJson = (value: unknown): string | null =>
  value === null || value === undefined ? null : JSON.stringify(value)
