import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { afterEach, test } from 'vitest'
import { reverse } from '../wire/paths.ts'
import { answerJson } from './fake-node.ts'
import { routed, World } from './fake-world.ts'

let world: World
afterEach(() => world.end())

const hello = { model: 'm', messages: [] }

test('spares follow use: a burst on one socket is served as the agent dials what it is asked to', async () => {
  world = await World.start()
  const node = await world.node('n1', ({ socket }) => answerJson(socket, {}))
  const answers = await Promise.all(Array.from({ length: 40 }, () => world.post(hello)))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.ok(node.requests.some((request) => Number(request.headers[reverse.dialHeader]) > 0))
  assert.ok(node.sockets.size <= 60, `${node.sockets.size} sockets`)
})

test('a socket carries one request at a time; the others wait in their order', async () => {
  world = await World.start()
  const node = await world.node('n1', () => undefined, false)
  await world.control.until(() => world.control.probe()?.good === true)
  const sent: Promise<unknown>[] = []
  for (let n = 0; n < 3; n++) {
    sent.push(world.post({ ...hello, n }))
    await world.control.until((reports) => reports.at(-1)?.nodes[0]?.inFlight === n + 1)
  }
  for (let n = 0; n < 3; n++) {
    await node.until(({ generations }) => generations.length === n + 1)
    assert.equal(JSON.parse(node.generations[n]?.body ?? '').n, n)
    answerJson(node.generations[n]?.socket as Socket, {})
  }
  await Promise.all(sent)
})

test('the line for a spare is bounded in length and in time', async () => {
  world = await World.start([routed('n1')], {
    maxWaitingPerNode: 1,
    queueTimeoutMs: 80,
    badProbeMs: 60_000,
    probeMs: 60_000,
    tokenTimeoutMs: 60_000,
  })
  const node = await world.node('n1', () => undefined, false)
  await world.control.until(() => world.control.probe()?.good === true)
  const first = world.post(hello)
  await node.until(({ generations }) => generations.length === 1)
  const waits = world.post(hello)
  await world.control.until((reports) => reports.at(-1)?.nodes[0]?.inFlight === 2)
  const refused = await world.post(hello)
  assert.deepEqual([refused.status, JSON.parse(refused.body).error.code], [503, 'overloaded'])
  const late = await waits
  assert.deepEqual([late.status, JSON.parse(late.body).error.code], [503, 'overloaded'])
  answerJson(node.generations[0]?.socket as Socket, {})
  assert.equal((await first).status, 200)
})

test('requests go to the node with the least in flight', async () => {
  world = await World.start([routed('n1'), routed('n2')])
  const nodes = [await world.node('n1', () => undefined), await world.node('n2', () => undefined)]
  const sent = []
  for (let n = 1; n <= 6; n++) {
    sent.push(world.post(hello))
    await Promise.race(
      nodes.map((node) => node.until(() => nodes.reduce((sum, { generations }) => sum + generations.length, 0) === n)),
    )
  }
  assert.deepEqual(
    nodes.map(({ generations }) => generations.length),
    [3, 3],
  )
  for (const node of nodes) for (const { socket } of node.generations) answerJson(socket, {})
  await Promise.all(sent)
})

test('when the last socket of a node closes, those who wait for one go elsewhere', async () => {
  world = await World.start([routed('n1'), routed('n2', { routable: false })])
  const busy = await world.node('n1', () => undefined, false)
  await world.control.until(() => world.control.probe()?.good === true)
  const first = world.post(hello)
  await busy.until(({ generations }) => generations.length === 1)
  const second = world.post(hello)
  await world.control.until((reports) => reports.at(-1)?.nodes[0]?.inFlight === 2)
  await world.node('n2', ({ socket }) => answerJson(socket, { by: 'n2' }))
  world.setNode('n2', { routable: true })
  await world.control.until((reports) => reports.at(-1)?.tableVersion === world.control.table.version)
  busy.close()
  assert.deepEqual([(await first).body, (await second).body], ['{"by":"n2"}', '{"by":"n2"}'])
})
