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

/** A second install beside the one of the world, as two control planes could make it. */
async function secondInstall(): Promise<{ id: string; created_at: Date; key_check: string }> {
  const { db } = world.deps.store
  await sql`drop index install_one`.execute(db)
  const later = { id: 'later', created_at: at(Date.now() + 60_000), key_check: 'check' }
  await db.insertInto('install').values(later).execute()
  return later
}

const named = (nodeId: string, name: string) =>
  world.deps.store.db.updateTable('nodes').set({ name }).where('id', '=', nodeId).execute()
const installs = async () =>
  (await world.deps.store.db.selectFrom('install').select('id').execute()).map(({ id }) => id)

test('of two installs in one data set the one stays whose name the machines bear, and no second one is taken any more', async () => {
  const { db } = world.deps.store
  const { nodeId } = await addNode(world, {})
  const later = await secondInstall()
  await named(nodeId, 'fd-later-abc')
  await oneInstall.up(db as never)
  expect(await installs()).toEqual(['later'])
  await expect(
    db
      .insertInto('install')
      .values({ ...later, id: 'third' })
      .execute(),
  ).rejects.toThrow('install_one')
})

test('where both have machines none is forgotten: it is refused, with the names of those that would be', async () => {
  await addNode(world, {})
  const { nodeId } = await addNode(world, {})
  const { id } = await secondInstall()
  const [first = ''] = (await installs()).filter((one) => one !== id)
  await named(nodeId, `fd-${id}-abc`)
  await expect(oneInstall.up(world.deps.store.db as never)).rejects.toThrow(`begin with fd-${id}- `)
  expect((await installs()).sort()).toEqual([first, id].sort())
})
