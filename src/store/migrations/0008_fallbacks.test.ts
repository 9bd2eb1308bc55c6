import { afterEach, beforeEach, expect, test } from 'vitest'
import { anyWish } from '../../core/offer.ts'
import { json } from '../database.ts'
import { addNode, type TestWorld, testWorld } from '../world-for-tests.ts'
import { fallbacks } from './0008_fallbacks.ts'

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

test('wishes that were stored with one GPU or none name a list, and those that have one stay as they are', async () => {
  const { db } = world.deps.store
  const { launchId } = await addNode(world, {})
  const { gpus: _, ...before } = anyWish
  const migrated = async (wish: object) => {
    await db
      .updateTable('launches')
      .set({ wish: json(wish) })
      .execute()
    await db
      .updateTable('deployments')
      .set({ wish: json(wish) })
      .execute()
    await fallbacks.up(db as never)
    const launch = await db.selectFrom('launches').select('wish').where('id', '=', launchId).executeTakeFirstOrThrow()
    const deployment = await db.selectFrom('deployments').select('wish').executeTakeFirstOrThrow()
    expect(deployment).toEqual(launch)
    return launch.wish
  }
  expect(await migrated({ ...before, gpu: 'H100' })).toEqual({ ...anyWish, gpus: ['H100'] })
  expect(await migrated({ ...before, gpu: null })).toEqual(anyWish)
  expect(await migrated({ ...anyWish, gpus: ['L4', 'A100'] })).toEqual({ ...anyWish, gpus: ['L4', 'A100'] })
})
