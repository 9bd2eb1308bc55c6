import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TestStore, testStore } from './test-database.ts'

let mine: TestStore
let other: TestStore

beforeAll(async () => {
  ;[mine, other] = await Promise.all([testStore(), testStore()])
})
afterAll(() => Promise.all([mine.drop(), other.drop()]))

test('each test file has tables of its own', async () => {
  await mine.store.db
    .insertInto('tenants')
    .values({ id: 't1', name: 'one', created_at: new Date(0) })
    .execute()
  expect(await mine.store.db.selectFrom('tenants').selectAll().execute()).toEqual([
    { id: 't1', name: 'one', created_at: 0 },
  ])
  expect(await other.store.db.selectFrom('tenants').selectAll().execute()).toEqual([])
})
