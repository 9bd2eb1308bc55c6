import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { at as atTime } from '../store/database.ts'
import { enterPhase } from '../store/phases.ts'
import { liveClose, livePath, takeIn } from '../wire/live.ts'
import type { NodeView } from '../wire/views.ts'
import { startTestApi, type TestApi } from './api-for-tests.ts'
import { Follower, greetedBy } from './live-for-tests.ts'

let at: TestApi
const open: Follower[] = []

beforeAll(async () => {
  at = await startTestApi({ liveLimits: { helloMs: 200, bufferedBytes: 200_000, heartbeatMs: 300 } })
})
afterEach(() => {
  for (const follower of open.splice(0)) follower.socket.terminate()
})
afterAll(() => at?.end())

function connected(headers: Record<string, string> = {}, to = at): Follower {
  const follower = new Follower(to, headers)
  open.push(follower)
  return follower
}

function greeted(token = at.tokens.viewer, headers: Record<string, string> = {}, to = at): Promise<Follower> {
  return greetedBy(connected(headers, to), token)
}

test('a follower gets the launch as it is, and each change of it within a second', async () => {
  const { launchId, nodeId } = await at.node()
  const follower = await greeted()
  follower.say({ do: 'follow', topic: 'launch', id: launchId })
  expect(await follower.hears('launch')).toMatchObject({ id: launchId, launch: { phase: 'requesting' } })
  const begun = performance.now()
  await enterPhase(at.deps.store.db, nodeId, 'booting', Date.now())
  await follower.hears('launch', ({ launch }) => launch.phase === 'booting')
  expect(performance.now() - begun).toBeLessThan(1_000)
})

test('a launch that waits is told of its growing percentage though nothing happens', async () => {
  const { launchId } = await at.node()
  const follower = await greeted()
  follower.say({ do: 'follow', topic: 'launch', id: launchId })
  const { launch: first } = await follower.hears('launch')
  await follower.hears('launch', ({ launch }) => launch.percent > first.percent)
})

test('after leaving a topic nothing more is told of it', async () => {
  const { launchId, nodeId } = await at.node({ state: 'ready', launchState: 'live' })
  const [stays, leaves] = [await greeted(), await greeted()]
  for (const follower of [stays, leaves]) {
    follower.say({ do: 'follow', topic: 'launch', id: launchId })
    await follower.hears('launch')
  }
  leaves.say({ do: 'leave', topic: 'launch', id: launchId })
  leaves.say({ do: 'follow', topic: 'log', id: nodeId })
  await leaves.hears('log')
  // Signs of life come in between.
  const told = () => leaves.heard.filter(({ topic }) => topic === 'launch').length
  const before = told()
  await at.client.releaseNode({ params: { id: nodeId } })
  await stays.hears('launch', ({ launch }) => launch.actions.length === 0)
  expect(told()).toBe(before)
})

test('a log comes with its last 200 lines and then line by line, none missing and none twice', async () => {
  const { nodeId } = await at.node({ state: 'loading' })
  const write = (from: number, to: number) => {
    const rows = Array.from({ length: to - from }, (_, i) => ({
      node_id: nodeId,
      n: from + i,
      at: atTime(Date.now()),
      source: 'engine' as const,
      text: `line ${from + i} \u001b[31m<script>`,
    }))
    return at.deps.store.db.insertInto('log_lines').values(rows).execute()
  }
  await write(0, 300)
  const early = await greeted()
  early.say({ do: 'follow', topic: 'log', id: nodeId })
  expect((await early.hears('log')).lines).toHaveLength(200)
  for (let n = 300; n < 340; n += 10) await write(n, n + 10)
  const late = await greeted()
  late.say({ do: 'follow', topic: 'log', id: nodeId })
  await write(340, 1_500)
  for (const follower of [early, late]) {
    await follower.hears('log', ({ lines }) => lines.at(-1)?.n === 1_499)
    const numbers = follower.heard.flatMap((message) =>
      message.topic === 'log' ? message.lines.map(({ n }) => n) : [],
    )
    const first = numbers[0] ?? 0
    expect(numbers).toEqual(Array.from({ length: 1_500 - first }, (_, i) => first + i))
  }
})

test('the fleet comes whole, and then only what changed', async () => {
  const { nodeId } = await at.node({ state: 'ready', launchState: 'live' })
  const other = await at.node({ state: 'ready', launchState: 'live' })
  const follower = await greeted()
  follower.say({ do: 'follow', topic: 'fleet' })
  const whole = await follower.hears('fleet')
  expect(whole.snapshot).toBe(true)
  expect(whole.nodes.map(({ id }) => id)).toEqual(expect.arrayContaining([nodeId, other.nodeId]))
  await at.client.drainNode({ params: { id: nodeId } })
  const changed = await follower.hears('fleet', ({ changes }) =>
    changes.some(({ id, actions }) => id === nodeId && actions?.includes('drain') === false),
  )
  expect(changed.nodes).toEqual([])
  expect(changed.changes.map(({ id }) => id)).toEqual([nodeId])
  expect(changed.changes[0]).not.toHaveProperty('offer')
  const told = new Map<string, NodeView>()
  for (const message of follower.heard) if (message.topic === 'fleet') takeIn(told, message)
  const { items } = await at.client.listNodes({ query: {} })
  expect(items.map((node) => ({ ...told.get(node.id), costMicroUsd: node.costMicroUsd }))).toEqual(items)
})

test('what is not there is an error on that topic, and the connection goes on', async () => {
  const follower = await greeted()
  follower.say({ do: 'follow', topic: 'launch', id: 'la-nothing' })
  expect(await follower.hears('error')).toMatchObject({ code: 'not_found' })
  follower.say({ do: 'follow', topic: 'everything' })
  await follower.hears('error', ({ code }) => code === 'bad_request')
  follower.socket.send('{')
  follower.say({ do: 'follow', topic: 'fleet' })
  await follower.hears('fleet')
})

test('topics that are sent right behind the hello are followed', async () => {
  const follower = connected()
  follower.socket.once('open', () => {
    follower.say({ do: 'hello', token: at.tokens.viewer })
    follower.say({ do: 'follow', topic: 'fleet' })
  })
  expect((await follower.hears('fleet')).snapshot).toBe(true)
})

test('without a hello, with a wrong token, or with a topic before the hello, the connection is closed', async () => {
  expect(await connected().closed).toMatchObject({ code: 4001 })
  for (const first of [
    { do: 'hello', token: 'fd_op_wrong' },
    { do: 'follow', topic: 'fleet' },
  ]) {
    const follower = connected()
    follower.socket.once('open', () => follower.say(first))
    expect(await follower.closed).toMatchObject({ code: 4001 })
  }
})

test('a reader whose token is taken away is closed', async () => {
  const { id, token } = await at.client.createOperator({ body: { name: 'reader', role: 'viewer' } })
  const follower = await greeted(token)
  await at.client.disableOperator({ params: { id } })
  expect(await follower.closed).toMatchObject({ code: 4001 })
})

test('a page of another origin may not connect; our own page may', async () => {
  const stranger = connected({ origin: 'https://evil.example' })
  const refused = await new Promise((resolve) => stranger.socket.once('error', resolve))
  expect(String(refused)).toContain('403')
  await greeted(at.tokens.viewer, { origin: at.api.url })
})

test('a reader that does not read is dropped, finds out why when it reads on, and the others go on', async () => {
  // No signs of life are asked for: it is dropped for being slow and for nothing else.
  const own = await startTestApi({ liveLimits: { bufferedBytes: 200_000, heartbeatMs: 600_000, slowCloseMs: 60_000 } })
  const { nodeId } = await own.node({ state: 'loading' })
  const follower = await greeted(own.tokens.viewer, {}, own)
  const slow = connect(own.api.port, '127.0.0.1')
  const key = Buffer.alloc(16).toString('base64')
  slow.write(
    `GET ${livePath} HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`,
  )
  await new Promise((resolve) => slow.once('data', resolve))
  slow.write(clientFrame({ do: 'hello', token: own.tokens.viewer }))
  await new Promise((resolve) => slow.once('data', resolve))
  slow.pause()
  slow.write(clientFrame({ do: 'follow', topic: 'log', id: nodeId }))
  follower.say({ do: 'follow', topic: 'log', id: nodeId })
  await follower.hears('log')
  // More than two kernels may hold for a connection, 6 and 4 MB by default, so that the rest waits in the process.
  for (let batch = 0; batch < 10; batch++) {
    const rows = Array.from({ length: 400 }, (_, i) => ({
      node_id: nodeId,
      n: batch * 400 + i,
      at: atTime(Date.now()),
      source: 'engine' as const,
      text: 'x'.repeat(4_000),
    }))
    await own.deps.store.db.insertInto('log_lines').values(rows).execute()
    await follower.hears('log', ({ lines }) => lines.at(-1)?.n === batch * 400 + 399)
  }
  const read: Buffer[] = []
  slow.on('data', (bytes) => read.push(bytes))
  const over = new Promise((resolve) => slow.once('end', resolve))
  slow.resume()
  await over
  slow.destroy()
  const end = Buffer.concat(read).subarray(-125)
  const reason = end.indexOf('Too slow')
  expect([reason > 0, reason > 0 && end.readUInt16BE(reason - 2)]).toEqual([true, liveClose.slowReader])
  expect(follower.socket.readyState).toBe(WebSocket.OPEN)
  await own.end()
}, 120_000)

/** A short text frame as a client sends it, masked with zeros. */
function clientFrame(message: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(message))
  const head = body.length < 126 ? [0x81, 0x80 | body.length] : [0x81, 0xfe, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), body])
}
