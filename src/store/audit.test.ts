import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { appendAudit, verifyAudit } from './audit.ts'
import { type TestStore, testStore } from './test-database.ts'
import { transact } from './transact.ts'

let mine: TestStore
beforeEach(async () => {
  mine = await testStore()
})
afterEach(() => mine.drop())

const db = () => mine.store.db
const append = (target: string, detail: Record<string, unknown> = {}) =>
  transact(db(), (tx) => appendAudit(tx, { who: 'ann', action: 'test', target, detail }, Date.now()))

async function appendThree(): Promise<number[]> {
  for (const target of ['a', 'b', 'c']) await append(target, { b: 1, a: { d: [2, null], c: 'ü\0\ud800' } })
  return (await db().selectFrom('audit').select('id').orderBy('id').execute()).map(({ id }) => id)
}

test('a chain that nobody touched is whole, over several pages and with writers at the same time', async () => {
  expect(await verifyAudit(db())).toEqual({ rows: 0, head: null, brokenAt: null })
  await Promise.all(Array.from({ length: 25 }, (_, i) => append(`t${i}`, { i })))
  const check = await verifyAudit(db(), null, 7)
  expect(check).toMatchObject({ rows: 25, brokenAt: null })
  await appendThree()
  expect(await verifyAudit(db(), check.head)).toMatchObject({ rows: 28, brokenAt: null })
})

test('a changed row is found, whatever was changed in it', async () => {
  const [, second] = await appendThree()
  const changes = [
    sql`who = 'eve'`,
    sql`action = 'x'`,
    sql`target = 'x'`,
    sql`address = '::1'`,
    sql`at = at + interval '1 ms'`,
    sql`detail = '{}'::jsonb`,
    sql`hash = repeat('1', 64)`,
  ]
  for (const change of changes) {
    const undo = new Error('undo')
    const found = db()
      .transaction()
      .execute(async (tx) => {
        await sql`update audit set ${change} where id = ${second}`.execute(tx)
        expect((await verifyAudit(tx)).brokenAt).toBe(second)
        throw undo
      })
    await expect(found).rejects.toBe(undo)
  }
  expect((await verifyAudit(db())).brokenAt).toBeNull()
})

test('a row that was taken out is found, and an anchor finds a chain that was cut off or written anew', async () => {
  const [first, second, third] = await appendThree()
  const { head } = await verifyAudit(db())
  expect(head?.id).toBe(third)
  await sql`delete from audit where id = ${third}`.execute(db())
  expect(await verifyAudit(db())).toMatchObject({ rows: 2, brokenAt: null })
  expect(await verifyAudit(db(), head)).toMatchObject({ brokenAt: 0 })
  await sql`delete from audit where id = ${first}`.execute(db())
  expect(await verifyAudit(db())).toMatchObject({ brokenAt: second })
})
