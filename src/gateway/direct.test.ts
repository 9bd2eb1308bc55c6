import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterEach, expect, test } from 'vitest'
import { issue, type KeyPair, makeAuthority } from '../lib/certificate.ts'
import { reverse } from '../wire/paths.ts'
import { answerJson } from './fake-node.ts'
import { routed, World } from './fake-world.ts'

const terms = { now: Date.now(), days: 1 }
const authority = makeAuthority('test', terms)
const token = 'fd_direct_0123456789'
const used = { usage: { prompt_tokens: 1, completion_tokens: 2 } }

let world: World | null = null
const doors: Door[] = []
afterEach(async () => {
  await world?.end()
  for (const door of doors.splice(0)) door.close()
})

/** What stands at a node's address: an agent's door, or a stranger's. */
class Door {
  readonly tokens: (string | undefined)[] = []
  readonly asked: string[] = []
  readonly sockets: Duplex[] = []
  /** Connections that came and are over. */
  over = 0
  incarnation = 'incarnation-1'
  readonly #server: Server
  readonly #requests = createHttp((request, response) => this.#answer(request, response))

  constructor(pair: KeyPair) {
    doors.push(this)
    this.#server = createServer(pair, (request, response) => {
      this.tokens.push(request.headers.authorization)
      response.end()
    })
    this.#server.on('connection', (socket) =>
      socket.once('close', () => {
        this.over += 1
      }),
    )
    this.#server.on('upgrade', (request, socket) => this.#upgraded(request, socket))
  }

  async listen(port = 0): Promise<string> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
    for (const socket of this.sockets) socket.destroy()
  }

  #upgraded({ headers }: IncomingMessage, socket: Duplex): void {
    this.tokens.push(headers.authorization)
    socket.on('error', () => socket.destroy())
    if (headers.authorization !== `Bearer ${token}`) return void socket.end('HTTP/1.1 401 No\r\n\r\n')
    const who = `${reverse.incarnationHeader}: ${this.incarnation}`
    socket.write(`HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: ${reverse.protocol}\r\n${who}\r\n\r\n`)
    this.sockets.push(socket)
    this.#requests.emit('connection', socket)
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.asked.push(String(request.url))
    const body = request.url === '/v1/models' ? { object: 'list', data: [{ id: 'm' }] } : { ...used, by: 'direct' }
    request.resume()
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  }
}

const agentOf = (machine: string) => new Door(issue(authority, { hosts: [machine], ...terms }))

/** A world whose node n1 is called at the address; what it lends is there, too. */
async function worldWith(address: string, direct = { token }) {
  const started = await World.start([routed('n1', { direct: { address, ...direct } })])
  world = started
  const lent = await started.node('n1', ({ socket }) => answerJson(socket, { ...used, by: 'lent' }))
  started.control.change({ authority: authority.cert })
  return { started, lent }
}

const by = async ({ post }: { post: World['post'] }) => JSON.parse((await post({ model: 'm' })).body).by
const directly = (world: World) => async () =>
  (await world.get('/metrics')).body.includes('direct_sockets{node="fd-test-n1"} 1')

const until = (holds: () => Promise<boolean>) => expect.poll(holds, { timeout: 10_000, interval: 10 }).toBe(true)

test('a node with an address is called there, probed there, and requests go there first', async () => {
  const door = agentOf('fd-test-n1')
  const { started } = await worldWith(await door.listen())
  await until(directly(started))
  assert.equal(await by({ post: (body) => started.post(body) }), 'direct')
  assert.deepEqual(door.tokens, [`Bearer ${token}`])
})

test('more requests at once call for more connections', async () => {
  const door = agentOf('fd-test-n1')
  const { started } = await worldWith(await door.listen())
  await until(directly(started))
  const answers = await Promise.all(Array.from({ length: 20 }, () => started.post({ model: 'm' })))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  await until(async () => door.sockets.length > 1)
})

test('a stranger at the address hears no token and no request, and the node is served by what it lends', async () => {
  const stranger = new Door(issue(makeAuthority('stranger', terms), { hosts: ['fd-test-n1', '127.0.0.1'], ...terms }))
  const neighbour = agentOf('fd-test-n2')
  for (const door of [stranger, neighbour]) {
    const { started } = await worldWith(await door.listen())
    await until(async () => door.over > 0)
    assert.equal(await by({ post: (body) => started.post(body) }), 'lent')
    assert.deepEqual([door.tokens, door.asked], [[], []])
    await started.end()
    world = null
  }
})

test('an agent that does not take our token is served by what it lends', async () => {
  const door = agentOf('fd-test-n1')
  const { started } = await worldWith(await door.listen(), { token: 'fd_direct_another-one' })
  await until(async () => door.tokens.length > 0)
  assert.equal(await by({ post: (body) => started.post(body) }), 'lent')
  assert.deepEqual(door.asked, [])
})

test('when the address fails, requests go on over what the agent lends; when it comes back, it is called again', async () => {
  const door = agentOf('fd-test-n1')
  const address = await door.listen()
  const { started } = await worldWith(address)
  await until(directly(started))
  door.close()
  await until(async () => !(await directly(started)()))
  assert.equal(await by({ post: (body) => started.post(body) }), 'lent')
  const again = agentOf('fd-test-n1')
  const fresh = await again.listen()
  started.setNode('n1', { direct: { address: fresh, token } })
  await until(directly(started))
  assert.equal(await by({ post: (body) => started.post(body) }), 'direct')
})

test('a stranger who was given the address of a node that served there hears nothing, and the node is served by what it lends', async () => {
  const door = agentOf('fd-test-n1')
  const address = await door.listen()
  const { started } = await worldWith(address)
  await until(directly(started))
  door.close()
  const stranger = agentOf('fd-test-n2')
  await stranger.listen(Number(address.split(':')[1]))
  await until(async () => stranger.over > 0)
  assert.equal(await by({ post: (body) => started.post(body) }), 'lent')
  assert.deepEqual([stranger.tokens, stranger.asked], [[], []])
})

test('a second agent behind the address is refused and told, as one that dials is', async () => {
  const door = agentOf('fd-test-n1')
  door.incarnation = 'incarnation-2'
  const { started } = await worldWith(await door.listen())
  await started.control.until(() => started.control.reports.some(({ secondHolders }) => secondHolders.length > 0))
  assert.equal(await by({ post: (body) => started.post(body) }), 'lent')
  assert.deepEqual(door.asked, [])
})
