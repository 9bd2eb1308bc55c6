import { afterEach, beforeEach, expect, test } from 'vitest'
import { addNode, dueAt, forgetNudges, setNodeState, type TestWorld, testWorld } from '../store/world-for-tests.ts'
import { cancelLaunch } from './launches.ts'
import { drainNode, holdNode, releaseNode } from './nodes.ts'

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

test('a hold is kept with who wants it, told with its cost, can be moved, and wakes the loop', async () => {
  const { nodeId } = await addNode(world, { state: 'ready' })
  const now = world.deps.clock.now()
  await holdNode(world.deps, world.actor, nodeId, 7_200)
  expect(await node(nodeId)).toMatchObject({ hold_until: now + 7_200_000, hold_by: 'ann', state: 'ready' })
  await holdNode(world.deps, world.actor, nodeId, 60)
  expect(await node(nodeId)).toMatchObject({ hold_until: now + 60_000 })
  const told = db().selectFrom('events').select('text').where('kind', '=', 'node.hold_asked').orderBy('id')
  expect((await told.executeTakeFirstOrThrow()).text).toMatch(
    /not released in the next 7200 s, which costs \$0\.2000 at most/,
  )
  await holdNode(world.deps, world.actor, nodeId, null)
  await holdNode(world.deps, world.actor, nodeId, null)
  expect(await node(nodeId)).toMatchObject({ hold_until: null, hold_by: null })
  expect(await audited()).toEqual(['node.hold', 'node.hold', 'node.hold_off'])
  expect(await wanted()).toBe(1)
})

test('a hold is refused for longer than is allowed, and for a node whose end is asked for', async () => {
  const { nodeId } = await addNode(world, { state: 'ready' })
  const hold = (forS: number | null) => holdNode(world.deps, world.actor, nodeId, forS)
  await expect(hold(86_401)).rejects.toMatchObject({ code: 'bad_request' })
  for (const state of ['releasing', 'gone'] as const) {
    await setNodeState(world.deps.store, nodeId, state)
    await expect(hold(60)).rejects.toMatchObject({ code: 'wrong_state' })
  }
  await setNodeState(world.deps.store, nodeId, 'draining')
  await releaseNode(world.deps, world.actor, nodeId)
  await expect(hold(60)).rejects.toMatchObject({ code: 'wrong_state' })
  await expect(holdNode(world.deps, world.actor, 'no-nope', 60)).rejects.toMatchObject({ code: 'not_found' })
})

test('releasing a node that is held takes nothing from its launch, which may try or serve elsewhere by now', async () => {
  const { nodeId, launchId } = await addNode(world, { state: 'held' })
  await releaseNode(world.deps, world.actor, nodeId)
  expect((await node(nodeId)).unwanted_at).not.toBeNull()
  expect((await launch(launchId)).unwanted_at).toBeNull()
  expect(await wanted()).toBe(1)
})

test('cancelling a launch that ends already lets go of its node that is held, once', async () => {
  const { nodeId, launchId } = await addNode(world, { state: 'held' })
  await db().updateTable('launches').set({ state: 'ending', holds_slot: false }).where('id', '=', launchId).execute()
  await cancelLaunch(world.deps, world.actor, launchId)
  await cancelLaunch(world.deps, world.actor, launchId)
  expect(await node(nodeId)).toMatchObject({ unwanted_by: 'ann' })
  expect(await audited()).toEqual(['launch.cancel'])
})
