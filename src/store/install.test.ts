import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { at } from './database.ts'
import { ensureInstall } from './install.ts'
import { type TestStore, testStore } from './test-database.ts'

const key = 'check of the key'
let database: TestStore
beforeEach(async () => {
  database = await testStore()
})
afterEach(() => database.drop())

test('of control planes that make the data set theirs at the same time one does, and the others wait for it', async () => {
  const { db } = database.store
  const other = await db.transaction().execute(async (tx) => {
    await tx
      .insertInto('install')
      .values({ id: 'first', created_at: at(0), key_check: key })
      .execute()
    const waiting = ensureInstall(db, key, 1)
    await vi.waitFor(async () => {
      const { rows } = await sql`select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
      expect(rows).toHaveLength(1)
    })
    return { waiting }
  })
  expect((await other.waiting).id).toBe('first')
  expect(await db.selectFrom('install').select('id').execute()).toEqual([{ id: 'first' }])
})
