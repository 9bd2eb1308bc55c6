import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { reverse } from '../wire/paths.ts'
import { readConfig } from './config.ts'
import { answerJson, chunk, doneEvent, type FakeNode, lastChunk, streamHead, tokenEvent } from './fake-node.ts'
import { routed, World } from './fake-world.ts'

let world: World
afterEach(() => world?.end())

const hello = { model: 'm', messages: [] }
const times = { quietMs: 60, aliveTimeoutMs: 120, badProbeMs: 60_000, tokenProbeMs: 60_000 }
const byN2 = '{"by":"n2"}'

/** Its sockets stay open, and nothing comes over them any more: a machine without power, or behind a cut cable. */
function vanish(node: FakeNode) {
  node.follows = false
  node.script = () => undefined
}

const given = (node: FakeNode, count: number) => node.until(({ generations }) => generations.length === count)
const looks = ({ requests }: FakeNode) => requests.filter(({ path }) => path === reverse.alivePath).length

/** Control hears every 50 ms. */
async function reports(count: number): Promise<void> {
  const before = world.control.reports.length
  await world.control.until((all) => all.length >= before + count)
}

/** Two nodes; requests go to n1 until `open`, then n2 serves too and answers who it is. */
async function twoNodes(over: object = {}) {
  world = await World.start([routed('n1'), routed('n2', { routable: false })], { ...times, ...over })
  const n1 = await world.node('n1', ({ socket, body }) => {
    if (body.includes('"begins"')) socket.write(streamHead + chunk(tokenEvent('one')))
    else if (body.includes('"head only"')) socket.write(streamHead)
  })
  const n2 = await world.node('n2', ({ socket, body }) => {
    if (body.includes('"stream":true')) socket.write(streamHead + chunk(tokenEvent('n2') + doneEvent) + lastChunk)
    else answerJson(socket, { by: 'n2' })
  })
  await world.control.until(() => ['n1', 'n2'].every((id) => world.control.probe(id)?.good))
  const open = async () => {
    world.setNode('n2', { routable: true })
    await world.control.until((reports) => reports.at(-1)?.tableVersion === world.control.table.version)
  }
  return { n1, n2, open }
}

test('the limits that are shipped take a silent node out of rotation within 5 s of its last word', () => {
  const env = { FLIGHTDECK_GATEWAY_TOKEN_FILE: 'token', FLIGHTDECK_GATEWAY_DIR: 'dir' }
  const { quietMs, aliveTimeoutMs } = readConfig(env)
  const sweepMs = 250
  expect(quietMs + aliveTimeoutMs + sweepMs).toBeLessThanOrEqual(5_000)
})

test('an engine that hangs while its agent lives: what has not begun goes to another node', async () => {
  const { n1, open } = await twoNodes({ badProbeMs: 60, probeTimeoutMs: 120 })
  const plain = world.post(hello)
  const began = Promise.withResolvers<string>()
  const begun = world.post({ ...hello, stream: true, user: 'begins' }, { onData: began.resolve })
  await Promise.all([given(n1, 2), began.promise])
  n1.script = ({ path, socket }) => {
    if (path === reverse.alivePath) answerJson(socket, {})
  }
  await open()
  assert.equal((await plain).body, byN2)
  // It may go on: an agent that lives says nothing of the end of what its engine has begun.
  const held = await Promise.race([begun, world.get('/health').then(() => 'held')])
  assert.equal(held, 'held')
})

test('a machine that vanished with its sockets open: what has not begun goes to another node, and control hears of it', async () => {
  const { n1, open } = await twoNodes({ earlyHeadersMs: 20, pingMs: 20 })
  const plain = world.post(hello)
  await given(n1, 1)
  const pinged = Promise.withResolvers<void>()
  const early = world.post({ ...hello, stream: true }, { onData: () => pinged.resolve() })
  await given(n1, 2)
  const headed = world.post({ ...hello, stream: true, user: 'head only' })
  await given(n1, 3)
  await pinged.promise
  await open()
  vanish(n1)
  assert.equal((await plain).body, byN2)
  for (const stream of [await early, await headed]) {
    assert.equal(stream.status, 200)
    assert.equal(stream.body.replaceAll(': ping\n\n', ''), tokenEvent('n2') + doneEvent)
  }
  const told = () => world.control.probe()
  await world.control.until(() => told()?.good === false)
  expect(told()).toMatchObject({ reached: false, detail: expect.stringContaining('Its agent did not answer within') })
  for (let i = 0; i < 4; i++) assert.equal((await world.post(hello)).body, byN2)
})

test('a stream that has begun is waited for a while longer, and then ends with the error event', async () => {
  const { n1, n2, open } = await twoNodes()
  let at = 0
  const begun = Promise.withResolvers<void>()
  const stream = world.post({ ...hello, stream: true, user: 'begins' }, { onData: () => begun.resolve() })
  void stream.then(() => {
    at = performance.now()
  })
  await begun.promise
  await open()
  const from = performance.now()
  vanish(n1)
  const { body } = await stream
  assert.ok(body.startsWith(tokenEvent('one')) && body.includes('"stream_broken"') && !body.includes('[DONE]'), body)
  assert.ok(at - from > 4 * times.aliveTimeoutMs, `after ${at - from} ms`)
  assert.equal(n2.generations.length, 0)
  await n1.until(({ sockets }) => sockets.size === 0)
})

test('a stream goes on where the node was silent for a moment only', async () => {
  const { n1 } = await twoNodes()
  const begun = Promise.withResolvers<void>()
  const stream = world.post({ ...hello, stream: true, user: 'begins' }, { onData: () => begun.resolve() })
  await begun.promise
  const well = n1.script
  vanish(n1)
  await world.control.until(() => ['n1', 'n2'].some((id) => world.control.probe(id)?.good === false))
  n1.script = well
  await n1.dial()
  const seen = looks(n1)
  await n1.until((node) => looks(node) > seen + 4)
  n1.generations[0]?.socket.write(chunk(doneEvent) + lastChunk)
  assert.equal((await stream).body, tokenEvent('one') + doneEvent)
})

test('a node that thinks for long while its agent answers keeps its request, which is sent once', async () => {
  const { n1, n2, open } = await twoNodes()
  const sent = world.post(hello)
  await given(n1, 1)
  await open()
  await n1.until((node) => looks(node) > 8)
  assert.deepEqual([n1.generations.length, n2.generations.length], [1, 0])
  answerJson(n1.generations[0]?.socket as Socket, { by: 'n1' })
  assert.equal((await sent).body, '{"by":"n1"}')
})

test('an agent of before, which does not know the question, is alive all the same', async () => {
  const { n1, n2, open } = await twoNodes()
  const well = n1.script
  n1.script = (request) =>
    request.path === reverse.alivePath ? answerJson(request.socket, { error: {} }, 404) : well(request)
  const sent = world.post(hello)
  await given(n1, 1)
  await open()
  await n1.until((node) => looks(node) > 8)
  answerJson(n1.generations[0]?.socket as Socket, { by: 'n1' })
  assert.equal((await sent).body, '{"by":"n1"}')
  assert.equal(n2.generations.length, 0)
})

test('where no other node is well a request stays, until the node has been silent for too long', async () => {
  world = await World.start([routed('n1')], times)
  const node = await world.node('n1', () => undefined)
  await world.control.until(() => world.control.probe()?.good === true)
  const from = performance.now()
  const sent = world.post(hello)
  await given(node, 1)
  vanish(node)
  const answer = await sent
  assert.equal(JSON.parse(answer.body).error.code, 'node_failed')
  assert.ok(performance.now() - from > 4 * times.aliveTimeoutMs)
})

test('an agent that has no connection left to lend loses no request for it', async () => {
  const { n1, n2, open } = await twoNodes()
  n1.follows = false
  for (const socket of [...n1.sockets].slice(1)) socket.destroy()
  await n1.until(({ sockets }) => sockets.size === 1)
  const begun = Promise.withResolvers<void>()
  const sent = world.post({ ...hello, stream: true, user: 'begins' }, { onData: () => begun.resolve() })
  await begun.promise
  await open()
  await reports(20)
  n1.generations[0]?.socket.write(chunk(doneEvent) + lastChunk)
  assert.equal((await sent).body, tokenEvent('one') + doneEvent)
  assert.equal(n2.generations.length, 0)
})

test('an idle node is asked nothing of the kind', async () => {
  world = await World.start([routed('n1')], times)
  const node = await world.node('n1', ({ socket }) => answerJson(socket, {}))
  assert.equal((await world.post(hello)).status, 200)
  await reports(8)
  assert.equal(looks(node), 0)
})
