import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, beforeEach, test } from 'vitest'
import { answerJson } from './fake-node.ts'
import { apiKey, routed, World } from './fake-world.ts'
import { readLaneHead } from './lane-head.ts'

const plain = [
  'POST /v1/chat/completions HTTP/1.1',
  'Host: gateway',
  `Authorization: Bearer ${apiKey}`,
  'Content-Type: application/json',
  'User-Agent: OpenAI/JS 6.49.0',
  'X-Request-Id: mine-1',
  'X-Stainless-Retry-Count: 0',
  'traceparent: 00-aa-bb-01',
  'Content-Length: 12',
]

test('a plain head is read: path, key, request id, length, and the header lines that go on', () => {
  const head = readLaneHead(plain.join('\r\n'))
  assert.equal(head?.path, '/v1/chat/completions')
  assert.deepEqual(head?.asked, {
    authorization: `Bearer ${apiKey}`,
    requestId: 'mine-1',
    length: 12,
    passed: 'content-type: application/json\r\ntraceparent: 00-aa-bb-01\r\n',
  })
})

test('whatever is not the plainest of requests is left to node:http', () => {
  const [line = '', ...fields] = plain
  const lines = (...changed: string[]) => [line, ...fields, ...changed].join('\r\n')
  const odd = [
    [line.replace('1.1', '1.0'), ...fields].join('\r\n'),
    [line.replace('POST', 'PUT'), ...fields].join('\r\n'),
    [line.replace('completions ', 'completions?x=1 '), ...fields].join('\r\n'),
    [line.replace('/v1', '//v1'), ...fields].join('\r\n'),
    [line.replace(' HTTP', '  HTTP'), ...fields].join('\r\n'),
    plain.filter((field) => !field.startsWith('Host')).join('\r\n'),
    plain.filter((field) => !field.startsWith('Content-Length')).join('\r\n'),
    lines('Content-Length: 12'),
    lines('Host: other'),
    lines('Authorization: Bearer other'),
    lines('Transfer-Encoding: chunked'),
    lines('transfer-encoding : chunked'),
    lines('Expect: 100-continue'),
    lines('Upgrade: h2c'),
    lines('Connection: close'),
    lines('Connection: keep-alive, upgrade'),
    lines('Trailer: x'),
    lines('TE: trailers'),
    lines(' folded: header'),
    lines('x: a\0b'),
    lines('x: a\rb'),
    lines('x: a\nb'),
    lines('no colon'),
    lines(': no name'),
    lines(...Array.from({ length: 100 }, (_, i) => `x-${i}: y`)),
    lines().replace('Content-Length: 12', 'Content-Length: +12'),
    lines().replace('Content-Length: 12', 'Content-Length: 0x12'),
    lines().replace('Content-Length: 12', 'Content-Length: 1, 2'),
    lines().replace('Content-Length: 12', 'Content-Length:'),
    lines().replaceAll('\r\n', '\n'),
  ]
  for (const text of odd) assert.equal(readLaneHead(text), null, JSON.stringify(text))
})

test('what the lane accepts, node:http reads in the same way', async () => {
  const read: { url: string; length: string; authorization: string }[] = []
  const server = createServer((request, response) => {
    const { 'content-length': length = '', authorization = '' } = request.headers
    read.push({ url: request.url ?? '', length, authorization })
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const name = fc.constantFrom(
    'host',
    'Host',
    'authorization',
    'Content-Length',
    'content-length',
    'x-a',
    'x_b',
    'connection',
    'te',
    'accept',
  )
  const value = fc.oneof(
    fc.constantFrom('0', '00', ' 0', '0 ', '\t0', 'keep-alive', 'close', 'Bearer x', 'a:b', 'x\u00e9', ''),
    fc.string({ unit: fc.constantFrom('0', ' ', '\t', '\r', '\n', ':', ',', 'x', '\0'), maxLength: 4 }),
  )
  const field = fc.tuple(name, fc.constantFrom(':', ': ', ' : ', ''), value).map((parts) => parts.join(''))
  const head = fc
    .array(field, { maxLength: 4 })
    .map((fields) => [plain[0], 'Host: g', 'Content-Length: 0', ...fields].slice(0, 9).join('\r\n'))
  const dropOne = fc.tuple(head, fc.boolean(), fc.boolean()).map(([text, host, length]) => {
    const lessHost = host ? text.replace('\r\nHost: g', '') : text
    return length ? lessHost.replace('\r\nContent-Length: 0', '') : lessHost
  })
  await fc.assert(
    fc.asyncProperty(dropOne, async (text) => {
      const accepted = readLaneHead(text)
      if (accepted?.asked.length !== 0) return
      read.length = 0
      const socket = connect(port, '127.0.0.1')
      socket.write(Buffer.from(`${text}\r\n\r\n`, 'latin1'))
      const answer = await new Promise<string>((resolve) =>
        socket.once('data', (bytes: Buffer) => resolve(bytes.toString())),
      )
      socket.destroy()
      assert.match(answer, /^HTTP\/1\.1 200 /, JSON.stringify(text))
      assert.equal(read.length, 1)
      assert.equal(read[0]?.url, accepted.path)
      assert.equal(Number(read[0]?.length), accepted.asked.length)
      assert.equal(read[0]?.authorization, accepted.asked.authorization)
    }),
    { numRuns: 1_500 },
  )
  server.closeAllConnections()
  server.close()
})

let world: World | null = null
let client: Socket | null = null
let said = ''

beforeEach(() => {
  said = ''
})

afterEach(async () => {
  client?.destroy()
  await world?.end()
  world = null
  client = null
})

async function open(limits = {}): Promise<Socket> {
  world = await World.start([routed('n1')], limits)
  await world.node('n1', ({ socket, body }) => answerJson(socket, { got: body.length }))
  const socket = connect(world.port, '127.0.0.1')
  socket.on('data', (bytes: Buffer) => {
    said += bytes.toString('latin1')
  })
  client = socket
  return socket
}

function request(body: string, extra = ''): string {
  return `POST /v1/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${apiKey}\r\n${extra}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

/** Resolves when what came from the gateway satisfies the check. */
function until(socket: Socket, check: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!check()) return
      socket.off('data', look)
      resolve()
    }
    socket.on('data', look)
    look()
  })
}

const body = '{"model":"m","prompt":"x"}'
const answers = () => said.split('{"got":').length - 1

test('a request may arrive byte by byte', async () => {
  const socket = await open()
  socket.setNoDelay(true)
  for (const character of request(body)) await new Promise((resolve) => socket.write(character, resolve))
  await until(socket, () => answers() === 1)
})

test('requests sent ahead are answered in turn, also when an odd one among them goes to node:http', async () => {
  const socket = await open()
  socket.write(request(body) + request(body) + request(body, 'te: trailers\r\n') + request(body))
  await until(socket, () => answers() === 4)
  assert.equal(said.split('HTTP/1.1 200 OK').length - 1, 4)
})

test('a connection that began with node:http may upgrade or ask for health as ever', async () => {
  const socket = await open()
  socket.write(`${request(body)}GET /health HTTP/1.1\r\nhost: g\r\n\r\n`)
  await until(socket, () => said.includes('"status":"ok"'))
  assert.equal(answers(), 1)
})

test('a refusal before the body is read ends the connection; one after it does not', async () => {
  const socket = await open()
  socket.write(request('{"model":"nope"}'))
  await until(socket, () => said.includes('model_not_found'))
  socket.write(request('x'.repeat(100)).replace(apiKey, 'fd_key_wrong').slice(0, -50))
  await new Promise((resolve) => socket.once('close', resolve))
  assert.match(said, /HTTP\/1\.1 401 [\s\S]*connection: close/)
})

test('half a head that cannot become a plain request is answered by node:http', async () => {
  const socket = await open()
  socket.write('NONSENSE\r\n\r\n')
  await until(socket, () => said.startsWith('HTTP/1.1 400'))
})
