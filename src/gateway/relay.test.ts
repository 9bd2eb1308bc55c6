import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeAll, describe, test } from 'vitest'
import { servedByHeader } from '../wire/gateway.ts'
import { answerJson, chunk, doneEvent, lastChunk, streamHead, tokenEvent, usageEvent } from './fake-node.ts'
import { apiKey, lanes, ownKey, routed, World } from './fake-world.ts'

describe.each(['short', 'node:http'] as const)('requests read by the %s lane', (lane) => {
  beforeAll(() => {
    lanes.current = lane
  })
  let world: World
  afterEach(() => world.end())

  const hello = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] }
  const completion = { choices: [{ message: { content: 'Hello' } }], usage: { prompt_tokens: 3, completion_tokens: 1 } }

  test('a plain answer passes byte for byte, with the request id of the client on both sides', async () => {
    world = await World.start()
    const node = await world.node('n1', ({ socket }) => answerJson(socket, completion))
    const body = '{ "model":"m",\n "messages":[{"role":"user","content":"Hi"}], "seed":12345678901234567890 }'
    const answer = await world.post(body, {
      headers: { 'x-request-id': 'mine-1', cookie: 'a=b', 'x-api-base': 'http://evil' },
    })
    assert.equal(answer.status, 200)
    assert.equal(answer.body, JSON.stringify(completion))
    assert.equal(answer.headers['x-request-id'], 'mine-1')
    assert.equal(answer.headers.server, undefined)
    const [seen] = node.generations
    assert.equal(seen?.body, body)
    assert.equal(seen?.headers['x-request-id'], 'mine-1')
    for (const name of ['authorization', 'cookie', 'x-api-base']) assert.equal(seen?.headers[name], undefined, name)
  })

  test('a stream passes, its first event at once, and the usage that only the gateway asked for is taken out', async () => {
    world = await World.start()
    const node = await world.node('n1', ({ socket }) => socket.write(streamHead + chunk(tokenEvent('one'))))
    const first = Promise.withResolvers<void>()
    const sent = world.post({ ...hello, stream: true }, { onData: () => first.resolve() })
    await first.promise
    const [seen] = node.generations
    assert.deepEqual(JSON.parse(seen?.body ?? ''), { ...hello, stream: true, stream_options: { include_usage: true } })
    seen?.socket.write(chunk(tokenEvent('two')) + chunk(usageEvent(5, 2)) + chunk(doneEvent) + lastChunk)
    const answer = await sent
    assert.equal(answer.body, tokenEvent('one') + tokenEvent('two') + doneEvent)
    assert.equal(answer.torn, false)
    await world.control.until(() => world.control.usage.length > 0)
    const [row] = world.control.usage
    assert.deepEqual(
      [row?.keyId, row?.nodeId, row?.promptTokens, row?.completionTokens, row?.estimatedTokens],
      ['k1', 'n1', 5, 2, 0],
    )
    // To its first piece, not to its end.
    assert.equal(row?.streams, 1)
    assert.ok(row.firstTokenMs <= row.durationMs)
  })

  test('which node served is told to people who try a model out, and to no client', async () => {
    world = await World.start()
    await world.node('n1', ({ socket, body }) => {
      if (body.includes('"stream":true')) socket.write(streamHead + chunk(doneEvent) + lastChunk)
      else answerJson(socket, completion)
    })
    for (const stream of [true, false]) {
      const told = async (key: string) =>
        (await world.post({ ...hello, stream }, { headers: { authorization: `Bearer ${key}` } })).headers[
          servedByHeader
        ]
      assert.deepEqual([await told(ownKey), await told(apiKey)], [routed('n1').name, undefined])
    }
  })

  test('a client that asked for usage gets it', async () => {
    world = await World.start()
    const all = tokenEvent('one') + usageEvent(5, 2) + doneEvent
    await world.node('n1', ({ socket }) => socket.write(streamHead + chunk(all) + lastChunk))
    const answer = await world.post({ ...hello, stream: true, stream_options: { include_usage: true } })
    assert.equal(answer.body, all)
  })

  test('a request is tried on another node before the first byte, three in all, and then refused', async () => {
    world = await World.start([routed('n1'), routed('n2'), routed('n3'), routed('n4')])
    const nodes = await Promise.all(
      ['n1', 'n2', 'n3', 'n4'].map((id) => world.node(id, ({ socket }) => void socket.destroy())),
    )
    const answer = await world.post(hello)
    assert.equal(answer.status, 502)
    assert.equal(JSON.parse(answer.body).error.code, 'node_failed')
    assert.deepEqual(nodes.map((node) => node.generations.length).sort(), [0, 1, 1, 1])
  })

  test('a refusal of the node itself (502, 503, 504) is tried elsewhere; the answer of the engine is not', async () => {
    world = await World.start([routed('n1'), routed('n2')])
    let refused = 0
    const script = ({ socket }: { socket: Socket }) =>
      refused++ === 0
        ? answerJson(socket, { error: 'away' }, 503)
        : answerJson(socket, { error: { message: 'no', code: 500 } }, 500)
    await world.node('n1', script)
    await world.node('n2', script)
    const answer = await world.post(hello)
    assert.equal(answer.status, 500)
    assert.equal(refused, 2)
    assert.deepEqual(JSON.parse(answer.body), {
      error: { message: 'no', type: 'server_error', param: null, code: null },
    })
  })

  test('a spare that was dead already is replaced by another of the same node', async () => {
    world = await World.start()
    let tries = 0
    const node = await world.node('n1', ({ socket }) => {
      if (tries++ === 0) socket.destroy()
      else answerJson(socket, completion)
    })
    await node.dial()
    const answer = await world.post(hello)
    assert.equal(answer.status, 200)
    assert.equal(tries, 2)
  })

  test('a client that hangs up ends its request at the node at once', async () => {
    world = await World.start()
    const node = await world.node('n1', ({ socket }) => socket.write(streamHead + chunk(tokenEvent('one'))))
    const first = Promise.withResolvers<void>()
    const sent = world.post({ ...hello, stream: true }, { onData: () => first.resolve() })
    await first.promise
    const closed = new Promise((resolve) => node.generations[0]?.socket.on('close', resolve))
    sent.abort()
    await sent
    await closed
    await world.control.until(() => world.control.usage.length > 0)
    assert.deepEqual(
      world.control.usage.map((row) => [row.abortedRequests, row.completionTokens, row.estimatedTokens]),
      [[1, 1, 1]],
    )
  })

  test('wherever a stream breaks, the client gets an error event and never a [DONE]', async () => {
    world = await World.start()
    const whole =
      streamHead + chunk(tokenEvent('one')) + chunk(tokenEvent('two')) + chunk(usageEvent(1, 2)) + chunk(doneEvent)
    let cut = 0
    const node = await world.node('n1', ({ socket }) => {
      socket.write(whole.slice(0, cut))
      socket.end()
    })
    // Before its end the head is no answer at all, and a [DONE] that has arrived is one.
    const from = streamHead.length + 3
    const to = whole.length - chunk(doneEvent).length + 4
    for (cut = from; cut < to; cut += 1) {
      if (node.sockets.size === 0) await node.dial()
      const answer = await world.post({ ...hello, stream: true })
      assert.equal(answer.status, 200, `cut at ${cut}`)
      const events = answer.body.split('\n\n')
      assert.equal(events.pop(), '', `cut at ${cut}: the last event is whole`)
      assert.equal(JSON.parse(events.at(-1)?.slice(6) ?? '').error.code, 'stream_broken', `cut at ${cut}`)
      assert.ok(!answer.body.includes('[DONE]'), `cut at ${cut}`)
      for (const event of events) assert.doesNotThrow(() => JSON.parse(event.slice(6)), `cut at ${cut}`)
    }
  })

  test('an error that the engine put into the stream passes in one shape, and the [DONE] behind it does not', async () => {
    world = await World.start()
    const error =
      'data: {"error": {"message": "EngineCore died.", "type": "InternalServerError", "param": null, "code": 500}}\n\n'
    await world.node('n1', ({ socket }) =>
      socket.write(streamHead + chunk(tokenEvent('one')) + chunk(error) + chunk(doneEvent) + lastChunk),
    )
    const answer = await world.post({ ...hello, stream: true })
    const said = { message: 'EngineCore died.', type: 'server_error', param: null, code: null }
    assert.equal(answer.body, `${tokenEvent('one')}data: ${JSON.stringify({ error: said })}\n\n`)
    await world.control.until(() => world.control.usage.length > 0)
    assert.equal(world.control.usage[0]?.failedRequests, 1)
  })

  test('bytes after the end of an answer cost the node its connection and reach no client', async () => {
    world = await World.start()
    const node = await world.node('n1', ({ socket }) => {
      socket.write(
        'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n',
      )
    })
    const answer = await world.post(hello)
    await node.until(({ generations, sockets }) => generations.every(({ socket }) => !sockets.has(socket)))
    assert.equal(answer.status, 502)
  })

  test('HTTP/1.0 answers, 1xx answers and bodies that end with the connection are understood', async () => {
    world = await World.start()
    const heads = ['HTTP/1.0 200 OK', 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK']
    const node = await world.node('n1', ({ socket }) => {
      socket.end(`${heads.pop()}\r\ncontent-type: application/json\r\n\r\n${JSON.stringify(completion)}`)
    })
    await node.dial()
    for (let i = 0; i < 2; i++) {
      const answer = await world.post(hello)
      assert.equal(answer.status, 200)
      assert.equal(answer.body, JSON.stringify(completion))
      if (node.sockets.size === 0) await node.dial()
    }
  })

  test('while a stream is silent the client gets comments, after an early head if need be; errors then come as events', async () => {
    world = await World.start([routed('n1')], { pingMs: 40, earlyHeadersMs: 40 })
    const node = await world.node('n1', () => undefined)
    const pinged = Promise.withResolvers<void>()
    const sent = world.post(
      { ...hello, stream: true },
      { onData: (text) => text.split(': ping').length > 2 && pinged.resolve() },
    )
    await pinged.promise
    answerJson(node.generations[0]?.socket as Socket, { detail: 'too much' }, 400)
    const answer = await sent
    assert.equal(answer.status, 200)
    const said = answer.body.replaceAll(': ping\n\n', '')
    assert.deepEqual(JSON.parse(said.slice(6)).error.message, 'too much')
  })

  test('a node that never answers is given up after the limit: 504 before the first byte', async () => {
    world = await World.start([routed('n1')], { headersTimeoutMs: 60, pingMs: 40 })
    const node = await world.node('n1', () => undefined)
    const answer = await world.post(hello)
    assert.equal(answer.status, 504)
    await node.until(({ generations, sockets }) => generations.every(({ socket }) => !sockets.has(socket)))
  })

  test('a stream that falls silent for too long ends with an error event', async () => {
    world = await World.start([routed('n1')], { idleTimeoutMs: 60 })
    await world.node('n1', ({ socket }) => socket.write(streamHead + chunk(tokenEvent('one'))))
    const answer = await world.post({ ...hello, stream: true })
    assert.match(answer.body, /"stream_broken"/)
  })

  test('a slow client holds the engine back instead of filling memory', async () => {
    world = await World.start()
    const event = tokenEvent('x'.repeat(60_000))
    let written = 0
    const total = 1_000
    await world.node('n1', ({ socket }) => {
      socket.write(streamHead)
      const more = () => {
        while (written < total) {
          written += 1
          if (!socket.write(chunk(event))) return socket.once('drain', more)
        }
        socket.write(chunk(doneEvent) + lastChunk)
      }
      more()
    })
    const client = connect(world.port, '127.0.0.1')
    const body = JSON.stringify({ ...hello, stream: true })
    client.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${apiKey}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    await new Promise((resolve) => client.once('data', resolve))
    client.pause()
    // Nothing more is written once every buffer on the way is full.
    let before = -1
    while (before !== written) {
      before = written
      for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(written < total, `${written} of ${total} chunks went in while the client read nothing`)
    let size = 0
    client.on('data', (bytes: Buffer) => {
      size += bytes.length
      if (bytes.includes('[DONE]')) client.destroy()
    })
    client.resume()
    await new Promise((resolve) => client.on('close', resolve))
    assert.ok(size > (total - 10) * 60_000)
  })
})
