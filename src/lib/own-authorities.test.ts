import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { fingerprintOf, issue, makeAuthority } from './certificate.ts'
import { trustAlso } from './own-authorities.ts'

const terms = { hosts: ['127.0.0.1'], now: Date.now(), days: 1 }
const authority = makeAuthority('test', terms)
const server = createServer(issue(authority, terms), (_, response) => response.end('hello'))
let url: string
beforeAll(async () => {
  new WebSocketServer({ server }).on('connection', (socket) => socket.send('hello'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

test('an authority that is trusted besides the usual ones counts for calls and for live updates', async () => {
  await expect(fetch(url)).rejects.toThrow('fetch failed')
  await expect(trustAlso('0'.repeat(64), url)).rejects.toThrow(/pinned fingerprint/)
  await expect(trustAlso('/no/such/file', url)).rejects.toThrow(/neither .* nor a file/)
  await trustAlso(`sha256:${fingerprintOf(authority.cert).toUpperCase()}`, url)
  expect(await (await fetch(url)).text()).toBe('hello')
  const socket = new WebSocket(url.replace('https', 'wss'))
  const said = await new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(data)
    socket.onerror = () => reject(new Error('no connection'))
  })
  socket.close()
  expect(said).toBe('hello')
})
