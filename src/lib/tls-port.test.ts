import { once } from 'node:events'
import { createServer, request as plainRequest, type Server } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fingerprintOf, issue, makeAuthority } from './certificate.ts'
import { serveTls, type TlsPort } from './tls-port.ts'

const terms = { hosts: ['127.0.0.1'], now: Date.now(), days: 1 }
const authority = makeAuthority('test', terms)
const pair = issue(authority, terms)

let server: Server
let tls: TlsPort
let port: number
beforeEach(async () => {
  server = createServer((asked, response) => {
    const isTls = 'encrypted' in asked.socket
    text(asked).then(
      (body) => response.end(`${isTls ? 'tls' : 'plain'} ${body.length}`),
      () => response.destroy(),
    )
  })
  server.on('upgrade', (_, socket: Socket) =>
    socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: x\r\n\r\nhello'),
  )
  tls = serveTls(server, pair)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
afterEach(async () => {
  tls.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

type Sent = Pick<RequestOptions, 'agent' | 'ca'>
async function ask(start: typeof request | typeof plainRequest, body: string, over: Sent = {}): Promise<string> {
  const asked = start({ port, host: '127.0.0.1', method: 'POST', agent: false, ...over })
  asked.end(body)
  const [response] = await once(asked, 'response')
  return text(response)
}

test('one port speaks TLS, and plain HTTP to this machine; bodies of any size arrive whole', async () => {
  const long = 'x'.repeat(3_000_000)
  expect(await ask(request, long, { ca: authority.cert })).toBe('tls 3000000')
  expect(await ask(plainRequest, long)).toBe('plain 3000000')
})

test('a request that dribbles in byte by byte is told apart by its first one', async () => {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setNoDelay(true)
  for (const byte of 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n') socket.write(byte)
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 .*plain 0/s)
})

test('upgrades pass under TLS', async () => {
  const headers = { connection: 'Upgrade', upgrade: 'x' }
  const asked = request({ port, host: '127.0.0.1', agent: false, ca: authority.cert, headers })
  asked.end()
  const [, socket, head] = (await once(asked, 'upgrade')) as [unknown, Socket, Buffer]
  expect(head.toString() + (await text(socket))).toBe('hello')
})

test('plain HTTP from another machine is answered with what to do, and reaches nobody', async () => {
  server.prependListener('connection', (socket) =>
    Object.defineProperty(socket, 'remoteAddress', { value: '10.0.0.1' }),
  )
  const seen: unknown[] = []
  server.on('request', (asked) => seen.push(asked))
  expect(await ask(plainRequest, 'secret')).toMatch(/use https/)
  expect(seen).toEqual([])
  expect(await ask(request, '', { ca: authority.cert })).toBe('tls 0')
})

test('who does not trust the authority sends nothing', async () => {
  const seen: unknown[] = []
  server.on('request', (asked) => seen.push(asked))
  const stranger = makeAuthority('stranger', terms)
  await expect(ask(request, 'secret', { ca: stranger.cert })).rejects.toThrow()
  expect(seen).toEqual([])
})

test('a renewed certificate is shown to the next connection, and cuts none that is open', async () => {
  const asked = request({ port, host: '127.0.0.1', agent: false, ca: authority.cert, method: 'POST' })
  asked.write('begun ')
  await once(asked, 'socket').then(([socket]) => once(socket, 'secureConnect'))
  const other = makeAuthority('other', terms)
  tls.renew(issue(other, terms))
  expect(await ask(request, '', { ca: other.cert })).toBe('tls 0')
  expect(fingerprintOf(other.cert)).not.toBe(fingerprintOf(authority.cert))
  asked.end('ended')
  const [response] = await once(asked, 'response')
  expect(await text(response)).toBe('tls 11')
})

test('a connection that says nothing does not hold the end up', async () => {
  const silent = connect(port, '127.0.0.1')
  await once(silent, 'connect')
  const arrived = once(server, 'connection')
  const second = connect(port, '127.0.0.1')
  await arrived
  tls.close()
  await Promise.all([once(silent, 'close'), once(second, 'close')])
})
