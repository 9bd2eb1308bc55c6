import { afterEach, beforeEach, expect, test } from 'vitest'
import { addNode, dueAt, forgetNudges, setNodeState, type TestWorld, testWorld } from '../store/world-for-tests.ts'
import { cancelLaunch } from './launches.ts'
import { drainNode, releaseNode } from './nodes.ts'

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

const db = () => world.deps.store.db
const node = (id: string) => db().selectFrom('nodes').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const launch = (id: string) => db().selectFrom('launches').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const wanted = async () => (await db().selectFrom('deployments').select('wanted').executeTakeFirstOrThrow()).wanted
const audited = async () => (await db().selectFrom('audit').select('action').execute()).map(({ action }) => action)

test('a ready node is asked to drain, once, with a deadline, and its loop is woken', async () => {
  const { nodeId } = await addNode(world, { state: 'ready' })
  await forgetNudges(world.deps.store)
  await drainNode(world.deps, world.actor, nodeId, 30)
  await drainNode(world.deps, world.actor, nodeId, 900)
  const now = world.deps.clock.now()
  expect(await node(nodeId)).toMatchObject({ drain_asked_at: now, drain_deadline_at: now + 30_000, unwanted_at: null })
  expect(await wanted()).toBe(1)
  expect(await audited()).toEqual(['node.drain'])
  expect(await dueAt(world.deps.store, nodeId)).toBe(now)
})

test('draining is idempotent while it goes on, and refused where nothing serves', async () => {
  const { nodeId } = await addNode(world, { state: 'draining' })
  expect(await drainNode(world.deps, world.actor, nodeId)).toEqual({ nodeId })
  for (const state of ['intended', 'requesting', 'booting', 'loading', 'releasing', 'gone'] as const) {
    await setNodeState(world.deps.store, nodeId, state)
    await expect(drainNode(world.deps, world.actor, nodeId)).rejects.toMatchObject({ code: 'wrong_state' })
  }
  await expect(drainNode(world.deps, world.actor, 'no-nope')).rejects.toMatchObject({ code: 'not_found' })
  expect(await audited()).toEqual([])
})

test('releasing withdraws node and launch at once and wants one replica less, once', async () => {
  const { nodeId, launchId } = await addNode(world, { state: 'ready' })
  await addNode(world, { state: 'ready' })
  await Promise.all([1, 2].map(() => releaseNode(world.deps, world.actor, nodeId)))
  await cancelLaunch(world.deps, world.actor, launchId)
  const now = world.deps.clock.now()
  expect(await node(nodeId)).toMatchObject({ unwanted_at: now, unwanted_by: 'ann', drain_deadline_at: now })
  expect(await launch(launchId)).toMatchObject({ unwanted_at: now, unwanted_outcome: 'ended' })
  expect(await wanted()).toBe(1)
})

test('a node whose launch has ended already is released without touching the count', async () => {
  const { nodeId, launchId } = await addNode(world, { state: 'draining' })
  await db().updateTable('launches').set({ state: 'ending', holds_slot: false }).where('id', '=', launchId).execute()
  await releaseNode(world.deps, world.actor, nodeId)
  expect(await wanted()).toBe(1)
  expect((await node(nodeId)).unwanted_at).not.toBeNull()
})

test('a node on its way out is not released again, and one of another tenant is not there', async () => {
  const { nodeId } = await addNode(world, { state: 'releasing' })
  await expect(releaseNode(world.deps, world.actor, nodeId)).rejects.toMatchObject({ code: 'wrong_state' })
  await setNodeState(world.deps.store, nodeId, 'gone')
  await expect(releaseNode(world.deps, world.actor, nodeId)).rejects.toMatchObject({ code: 'wrong_state' })
  const stranger = { ...world.actor, tenantId: 'te-other' }
  await expect(releaseNode(world.deps, stranger, nodeId)).rejects.toMatchObject({ code: 'not_found' })
})
