import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeVault } from '../lib/vault.ts'
import { ensureAuthority } from './authority.ts'
import { ensureInstall } from './install.ts'
import { type TestStore, testStore } from './test-database.ts'

const vault = makeVault(Buffer.alloc(32, 1))
let database: TestStore
beforeEach(async () => {
  database = await testStore()
  await ensureInstall(database.store.db, vault.check, 0)
})
afterEach(() => database.drop())

test('control planes that start at the same time share one authority, and its key is sealed', async () => {
  const { db } = database.store
  let made = 0
  const make = () => ({ cert: `certificate ${++made}`, key: 'the private key' })
  const all = await Promise.all(Array.from({ length: 5 }, () => ensureAuthority(db, vault, make)))
  expect(new Set(all.map(({ cert }) => cert)).size).toBe(1)
  expect(await ensureAuthority(db, vault, make)).toEqual(all[0])
  const { authority } = await db.selectFrom('install').select('authority').executeTakeFirstOrThrow()
  expect(authority?.includes('private key')).toBe(false)
})
