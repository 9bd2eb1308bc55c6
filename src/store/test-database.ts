import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import pg from 'pg'
import { randomName } from '../lib/chance.ts'
import { type Connection, openStore, type Store } from './database.ts'

export interface TestStore {
  readonly store: Store
  readonly connection: Connection
  /** Closes the store and removes its database. */
  drop(): Promise<void>
}

interface TestServer {
  readonly admin: Connection
  readonly template: string
}

/**
 * An empty, migrated database of its own, on the one server that the run of the suite shares: an embedded one, or the
 * one that DATABASE_URL names. Only tests may use it, and only under vitest.
 */
export async function testStore(poolSize = 8): Promise<TestStore> {
  const { admin, template } = await findServer()
  const database = `fd_test_${randomName(12)}`
  await query(admin, `create database ${database} template ${template}`)
  const connection = onDatabase(admin, database)
  const store = await openStore(connection, poolSize)
  const drop = async () => {
    await store.close()
    // A listener that was left open must not keep the database alive.
    await query(admin, `drop database if exists ${database} with (force)`)
  }
  return { store, connection, drop }
}

async function findServer(): Promise<TestServer> {
  const door = process.env.FLIGHTDECK_TEST_DATABASE
  if (!door) throw new Error('no database server: run the tests with vitest and its configuration')
  const answer: unknown = JSON.parse(await text(connect(door)))
  if (typeof answer === 'object' && answer !== null && 'error' in answer) throw new Error(String(answer.error))
  return answer as TestServer
}

/** The same server, another database. */
export function onDatabase(admin: Connection, database: string): Connection {
  if (!('url' in admin)) return { ...admin, database }
  // Not by a URL parser: an address with a socket's folder (`postgres://me@/db?host=/run`) is none to it.
  return { url: admin.url.replace(/^([a-z]+:\/\/[^/?#]*)(\/[^?#]*)?/, `$1/${database}`) }
}

/** One statement on a connection of its own: `create database` must not run in a pool's transaction. */
export async function query(connection: Connection, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client('url' in connection ? { connectionString: connection.url } : connection)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}
