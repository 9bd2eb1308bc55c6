import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { at } from '../database.ts'
import { addNode, type TestWorld, testWorld } from '../world-for-tests.ts'
import { oneInstall } from './0023_one_install.ts'

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

test('of two installs in one data set the one stays whose name the machines bear, and no second one is taken any more', async () => {
  const { db } = world.deps.store
  const { nodeId } = await addNode(world, {})
  await db.updateTable('nodes').set({ name: 'fd-later-abc' }).where('id', '=', nodeId).execute()
  await sql`drop index install_one`.execute(db)
  const later = { id: 'later', created_at: at(Date.now() + 60_000), key_check: 'check' }
  await db.insertInto('install').values(later).execute()
  await oneInstall.up(db as never)
  expect(await db.selectFrom('install').select('id').execute()).toEqual([{ id: 'later' }])
  await expect(
    db
      .insertInto('install')
      .values({ ...later, id: 'third' })
      .execute(),
  ).rejects.toThrow('install_one')
})
