import { once } from 'node:events'
import { createServer, request as plainRequest } from 'node:http'
import { request } from 'node:https'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { issue, makeAuthority } from '../lib/certificate.ts'
import { sha256 } from '../lib/chance.ts'
import { callUpgrade } from '../lib/upgrade-call.ts'
import { freePort } from '../main/ports.ts'
import { directPath, reverse } from '../wire/paths.ts'
import { DirectDoor } from './direct-door.ts'
import { makeOwnLog } from './own-log.ts'

const terms = { hosts: ['fd-abc12-n1'], now: Date.now(), days: 1 }
const authority = makeAuthority('test', terms)
const token = 'fd_direct_0123456789'

let port: number
let door: DirectDoor
let taken: Duplex[]
let closed: number
beforeEach(async () => {
  port = await freePort('127.0.0.1')
  taken = []
  closed = 0
  door = new DirectDoor({
    terms: { port, ...issue(authority, terms), tokenHash: sha256(token) },
    incarnation: 'incarnation-1',
    log: makeOwnLog(() => undefined),
    onSocket: (socket) => void taken.push(socket),
    onClosed: () => {
      closed += 1
    },
    onWord: () => undefined,
  })
})
afterEach(() => door.destroy())

function knock(over: { token?: string; path?: string; machine?: string; ca?: string } = {}) {
  const { path = directPath, machine = 'fd-abc12-n1', ca = authority.cert } = over
  const authorization = `Bearer ${over.token ?? token}`
  const headers = { connection: 'Upgrade', upgrade: reverse.protocol, authorization }
  return callUpgrade(new URL(path, `https://127.0.0.1:${port}`), { ca, servername: machine, headers }, 5_000)
}

test('a gateway with the token of the node gets a connection that carries requests to it, and learns which agent it is', async () => {
  const { socket, headers } = await knock()
  expect(headers[reverse.incarnationHeader]).toBe('incarnation-1')
  expect([door.spareCount, taken.length]).toEqual([1, 1])
  const server = createServer((_, response) => response.end('served'))
  server.emit('connection', taken[0])
  const asked = plainRequest({ createConnection: () => socket, path: '/x' })
  asked.end()
  const [answer] = await once(asked, 'response')
  expect(answer.statusCode).toBe(200)
  server.closeAllConnections()
})

test('without the token, or for another path, there is nothing', async () => {
  await expect(knock({ token: 'fd_direct_wrong' })).rejects.toMatchObject({ status: 401 })
  await expect(knock({ token: '' })).rejects.toMatchObject({ status: 401 })
  await expect(knock({ path: '/node/connect' })).rejects.toMatchObject({ status: 404 })
  const asked = request({ port, host: '127.0.0.1', path: '/v1/models', ca: authority.cert, servername: 'fd-abc12-n1' })
  asked.setHeader('authorization', `Bearer ${token}`)
  asked.end()
  const [answer] = await once(asked, 'response')
  expect(answer.statusCode).toBe(404)
  expect(taken).toEqual([])
})

test('its certificate is good for the machine of that name and no other, under the authority and no other', async () => {
  await expect(knock({ machine: 'fd-abc12-n2' })).rejects.toThrow(/does not match/)
  await expect(knock({ ca: makeAuthority('other', terms).cert })).rejects.toThrow(/certificate/)
  expect(taken).toEqual([])
})

test('bytes that come before the answer to a knock are not taken for requests', async () => {
  const plain: Socket = connect(port, '127.0.0.1')
  plain.end(`GET ${directPath} HTTP/1.1\r\n\r\n`)
  await once(plain.resume(), 'close')
  expect(taken).toEqual([])
})

test('a draining node refuses who knocks and lets go of idle connections; serving again, it takes them', async () => {
  const idle = (await knock()).socket
  const used = (await knock()).socket
  door.busy(taken[1] as Duplex)
  const gone = once(idle.resume(), 'close')
  door.withdraw()
  await gone
  await expect(knock()).rejects.toMatchObject({ status: 503 })
  expect([door.spareCount, door.busyCount, used.destroyed]).toEqual([0, 1, false])
  const done = once(used.resume(), 'close')
  door.idle(taken[1] as Duplex)
  await done
  door.reopen()
  expect((await knock()).socket.destroyed).toBe(false)
  expect(closed).toBe(2)
})
