import { afterEach, beforeEach, expect, test } from 'vitest'
import { sha256 } from '../lib/chance.ts'
import { saveLook } from '../store/sightings.ts'
import { addNode, type TestWorld, testWorld } from '../store/world-for-tests.ts'
import type { DirectWay } from './direct.ts'
import { makeJoins } from './join.ts'
import { joinRequest } from './messages-for-tests.ts'
import { makeRouteTables } from './routes.ts'

const direct: DirectWay = {
  authority: 'the authority',
  portOf: (cloud) => (cloud === 'local' ? 8_443 : null),
  certificateFor: (machine) => ({ cert: `certificate of ${machine}`, key: 'key' }),
}

const traits = {
  confirmGoneMs: 0,
  listingLagMs: 0,
  askLimitMs: 0,
  requestLimitMs: 0,
  bootLimitMs: 0,
  loadLimitMs: 0,
  drainLimitMs: 0,
  lookMs: 0,
  lookFastMs: 0,
}

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

async function joined(way: DirectWay | null) {
  const { joinToken, nodeId } = await addNode(world)
  const reply = await makeJoins({ ...world.deps, direct: way }).join(joinToken, joinRequest(), '10.9.9.9')
  const { store } = world.deps
  const { name } = await store.db.selectFrom('nodes').select('name').where('id', '=', nodeId).executeTakeFirstOrThrow()
  return { reply, name }
}

async function routed(way: DirectWay | null) {
  const table = await makeRouteTables({ ...world.deps, direct: way }, () => undefined).current()
  return { authority: table.authority, way: table.nodes[0]?.direct }
}

const look = (name: string, address: string | null) => {
  const { store, clock } = world.deps
  const listed = [{ name, detail: { status: 'UP', ...(address ? { direct: address } : {}) } }]
  return saveLook(store.db, { cloud: 'local', startedAt: clock.now(), listed }, traits, clock.now())
}

test('a node that may be called gets a certificate in its name and the hash of a token that only gateways are told', async () => {
  const { reply, name } = await joined(direct)
  expect(reply.direct).toMatchObject({ port: 8_443, cert: `certificate of ${name}`, key: 'key' })
  expect(await routed(direct)).toEqual({ authority: 'the authority', way: null })
  await look(name, '192.0.2.7:8443')
  const { way } = await routed(direct)
  expect(way?.address).toBe('192.0.2.7:8443')
  expect(sha256(way?.token ?? '')).toBe(reply.direct?.tokenHash)
})

test('gateways learn of an address at once and again when it changes; a look that does not know it changes nothing', async () => {
  const { name } = await joined(direct)
  const heard: string[] = []
  const unlisten = await world.deps.store.listen((topic) => void heard.push(topic))
  for (const [address, times] of [
    ['192.0.2.7:8443', 1],
    ['192.0.2.7:8443', 1],
    [null, 1],
    ['192.0.2.8:8443', 2],
  ] as const) {
    await look(name, address)
    await expect.poll(() => heard.filter((topic) => topic === 'routes').length).toBe(times)
  }
  await unlisten()
})

test('where the operator does not want it, no node is called, whatever its cloud tells', async () => {
  const { reply, name } = await joined(null)
  expect(reply.direct).toBeNull()
  await look(name, '192.0.2.7:8443')
  expect(await routed(null)).toEqual({ authority: null, way: null })
  expect((await routed({ ...direct, portOf: () => null })).way).toBeNull()
})
