import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { sha256 } from '../lib/chance.ts'
import { addNode, setNodeState, type TestWorld, testWorld } from '../store/world-for-tests.ts'
import { makeJoins } from './join.ts'
import { joinRequest } from './messages-for-tests.ts'
import { playgroundKeyOf } from './playground.ts'
import { makeRouteTables, type RouteTables } from './routes.ts'

let world: TestWorld
let tables: RouteTables
let unlisten: () => Promise<void>
const onError = vi.fn()
beforeEach(async () => {
  world = await testWorld()
  tables = makeRouteTables(world.deps, onError)
  unlisten = await world.deps.store.listen((topic) => tables.hear(topic))
})
afterEach(async () => {
  tables.close()
  await unlisten()
  // A table that was woken at the very end is read from a database that is not there any more.
  expect(onError).not.toHaveBeenCalled()
  await world.drop()
})

const db = () => world.deps.store.db
async function joined(wish: Parameters<typeof addNode>[1] = {}) {
  const made = await addNode(world, wish)
  await makeJoins(world.deps).join(made.joinToken, joinRequest(), '10.9.9.9')
  return made
}

test('the table holds every joined node that is not gone, living keys, and models that somebody wants', async () => {
  const ready = await joined({ deployment: 'a' })
  await addNode(world, { deployment: 'a' })
  const gone = await joined({ deployment: 'b', model: 'Org/Big-7B' })
  await setNodeState(world.deps.store, ready.nodeId, 'ready')
  await setNodeState(world.deps.store, gone.nodeId, 'gone')
  await db().updateTable('deployments').set({ wanted: 0 }).execute()
  const key = { tenant_id: 'te-default', last4: 'abcd', created_by: 'ann', created_at: new Date() }
  await db()
    .insertInto('api_keys')
    .values([
      { ...key, id: 'ke-1', name: 'one', key_hash: 'a'.repeat(64), models: ['sim-small'] },
      { ...key, id: 'ke-2', name: 'two', key_hash: 'b'.repeat(64), revoked_at: new Date() },
    ])
    .execute()
  const ownKey = { id: 'ke-playground', hash: sha256(playgroundKeyOf(world.deps.vault)), models: null }
  const fresh = makeRouteTables(world.deps, onError)
  expect(await fresh.current()).toMatchObject({
    install: world.install,
    nodes: [{ id: ready.nodeId, servedName: 'sim-small', healthPath: '/health', routable: true, order: 'run' }],
    models: [{ id: 'sim-small', created: Math.floor(world.deps.clock.now() / 1000), ownedBy: 'flightdeck' }],
    keys: [{ id: 'ke-1', hash: 'a'.repeat(64), models: ['sim-small'] }, ownKey],
  })
})

test('only a ready node under a verdict that accuses nobody gets requests', async () => {
  const { nodeId } = await joined()
  const routable = async () => (await makeRouteTables(world.deps, onError).current()).nodes[0]?.routable
  for (const state of ['booting', 'loading', 'draining', 'releasing'] as const) {
    await setNodeState(world.deps.store, nodeId, state)
    expect(await routable(), state).toBe(false)
  }
  await setNodeState(world.deps.store, nodeId, 'ready')
  for (const [verdict, expected] of [
    ['healthy', true],
    ['unknown', true],
    ['degraded', true],
    ['suspect', false],
    ['dead', false],
  ] as const) {
    await db().updateTable('nodes').set({ verdict }).execute()
    expect(await routable(), verdict).toBe(expected)
  }
})

test('a change wakes whoever waits for it, and another content has another version', async () => {
  const { nodeId } = await joined()
  // What is told late of the join may make a table in between: waited is for the one that is meant.
  const until = async (routable: boolean, after?: string) => {
    let table = await tables.waitAfter(after, 10_000)
    while (table && table.nodes[0]?.routable !== routable) table = await tables.waitAfter(table.version, 10_000)
    return table
  }
  const before = await until(false)
  await setNodeState(world.deps.store, nodeId, 'ready')
  const after = await until(true, before?.version)
  expect(after?.nodes[0]).toMatchObject({ id: nodeId })
  expect(after?.version).not.toBe(before?.version)
  await setNodeState(world.deps.store, nodeId, 'booting')
  expect((await until(false, after?.version))?.version).not.toBe(after?.version)
})

test('a wait ends without a table when its time is over, when its caller leaves, and when we end', async () => {
  const { version } = await tables.current()
  expect(await tables.waitAfter(version, 1)).toBeNull()
  const caller = new AbortController()
  const left = tables.waitAfter(version, 60_000, caller.signal)
  caller.abort()
  expect(await left).toBeNull()
  const ended = tables.waitAfter(version, 60_000)
  tables.close()
  expect(await ended).toBeNull()
})

test('a wanted deployment without a node is a model that can be asked for', async () => {
  const before = await tables.current()
  const waited = tables.waitAfter(before.version, 10_000)
  await addNode(world)
  expect((await waited)?.models.map(({ id }) => id)).toEqual(['sim-small'])
})
