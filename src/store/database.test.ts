import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openStore } from './database.ts'
import { type TestStore, testStore } from './test-database.ts'

let base: TestStore
beforeEach(async () => {
  base = await testStore()
})
afterEach(() => base.drop())

test('who waits for a connection is counted, with how long it took; the pool is as large as it was said to be', async () => {
  const narrow = await openStore(base.connection, 1)
  const [held, free] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const holder = narrow.db.transaction().execute(async (tx) => {
    await sql`select 1`.execute(tx)
    held.resolve()
    await free.promise
  })
  await held.promise
  const before = narrow.pool.waits()
  const late = sql`select 1`.execute(narrow.db)
  await expect.poll(() => narrow.pool.waitingNow()).toBe(1)
  await pause(50)
  free.resolve()
  await Promise.all([holder, late])
  expect(narrow.pool.waits().count).toBe(before.count + 1)
  expect(narrow.pool.waits().totalMs - before.totalMs).toBeGreaterThan(40)
  expect(narrow.pool.longestWaitMs()).toBeGreaterThan(40)
  expect([narrow.pool.size, narrow.pool.waitingNow()]).toEqual([1, 0])
  await narrow.close()
})

test('a transaction that nobody works on any more is ended, and what it had locked is free for others', async () => {
  const stopped = await openStore(base.connection, 2, 200)
  const parked = stopped.db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(42)`.execute(tx)
    // Like a process under SIGSTOP: it holds the lock and does nothing, until another has got it.
    await base.store.db.transaction().execute((other) => sql`select pg_advisory_xact_lock(42)`.execute(other))
    await sql`select 1`.execute(tx)
  })
  await expect(parked).rejects.toThrow()
  await stopped.close()
})
