import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openStore } from './database.ts'
import { type TestStore, testStore } from './test-database.ts'

let base: TestStore
beforeEach(async () => {
  base = await testStore()
})
afterEach(() => base.drop())

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
