import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TestStore, testStore } from './test-database.ts'
import { isTaken, transact } from './transact.ts'

let mine: TestStore
beforeAll(async () => {
  mine = await testStore()
})
afterAll(() => mine.drop())

const tenant = (id: string) => ({ id, name: id, created_at: new Date(0) })

test('two transactions that wait for each other both get through', async () => {
  const { db } = mine.store
  await db
    .insertInto('tenants')
    .values([tenant('a'), tenant('b')])
    .execute()
  const first = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let runs = 0
  const lockBoth = (mineFirst: number, ids: readonly [string, string]) =>
    transact(db, async (tx) => {
      runs += 1
      await sql`set local deadlock_timeout = '20ms'`.execute(tx)
      await sql`select 1 from tenants where id = ${ids[0]} for update`.execute(tx)
      first[mineFirst]?.resolve()
      await first[1 - mineFirst]?.promise
      await sql`select 1 from tenants where id = ${ids[1]} for update`.execute(tx)
      return mineFirst
    })
  expect(await Promise.all([lockBoth(0, ['a', 'b']), lockBoth(1, ['b', 'a'])])).toEqual([0, 1])
  expect(runs).toBe(3)
})

test('any other error is thrown at once, and a taken key is told by its name', async () => {
  const { db } = mine.store
  let runs = 0
  const again = transact(db, async (tx) => {
    runs += 1
    await tx.insertInto('tenants').values(tenant('a')).execute()
  })
  const error: unknown = await again.catch((thrown: unknown) => thrown)
  expect(runs).toBe(1)
  expect(isTaken(error, 'tenants_pkey')).toBe(true)
  expect(isTaken(error, 'tenants_name_key')).toBe(false)
})
