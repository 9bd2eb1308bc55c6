import assert from 'node:assert/strict'
import { afterEach, test } from 'vitest'
import { answerJson, FakeNode, wellEngine } from './fake-node.ts'
import { credentialOf, routed, World } from './fake-world.ts'

let world: World
afterEach(() => world.end())

const hello = { model: 'm', messages: [] }
const script = wellEngine('m', ({ socket }) => answerJson(socket, {}))
const dialAs = (credential: string, incarnation = 'incarnation-1') => {
  const node = new FakeNode(world.port, credential, script, incarnation)
  world.nodes.push(node)
  return node
}

test('a connection is lent only with the credential of a node; a released node is told so', async () => {
  world = await World.start([routed('n1'), routed('n2', { order: 'end' })])
  assert.equal(await dialAs(credentialOf('n1')).dial(), 101)
  assert.equal(await dialAs(credentialOf('nobody')).dial(), 401)
  assert.equal(await dialAs('fd_key_0123456789abcdef0123456789abcdef').dial(), 401)
  assert.equal(await dialAs(credentialOf('n2')).dial(), 410)
  assert.equal(await dialAs(credentialOf('n1'), 'short').dial(), 400)
})

test('bytes that come with the upgrade are not taken for an answer', async () => {
  world = await World.start()
  assert.equal(await dialAs(credentialOf('n1')).dial('HTTP/1.1 200 OK\r\n\r\n'), 400)
})

test('a node that dials before the gateway has heard of it is let in as soon as control knows it', async () => {
  world = await World.start([])
  const dialled = dialAs(credentialOf('n9')).dial()
  world.control.change({ nodes: [routed('n9')] })
  assert.equal(await dialled, 101)
})

test('a second living holder is refused and told; the one that control knows takes over', async () => {
  world = await World.start()
  const first = await world.node('n1', ({ socket }) => answerJson(socket, {}))
  assert.equal(await first.dial(), 101)
  const second = dialAs(credentialOf('n1'), 'incarnation-2')
  assert.equal(await second.dial(), 409)
  await world.control.until((reports) =>
    reports.some(({ secondHolders }) => secondHolders[0]?.incarnation === 'incarnation-2'),
  )
  assert.equal(first.sockets.size >= 2, true)
  world.setNode('n1', { incarnation: 'incarnation-2' })
  assert.equal(await second.dial(), 101)
  await first.until(({ sockets }) => sockets.size === 0)
  assert.equal((await world.post(hello)).status, 200)
  assert.equal(second.generations.length, 1)
})

test('once the sockets of an agent are gone, its next incarnation is let in', async () => {
  world = await World.start()
  const first = await world.node('n1', ({ socket }) => answerJson(socket, {}))
  await world.control.until(() => world.control.probe()?.good === true)
  first.close()
  await world.control.until((reports) => reports.at(-1)?.nodes[0]?.spareSockets === 0)
  assert.equal(await dialAs(credentialOf('n1'), 'incarnation-2').dial(), 101)
})

test('a node holds no more sockets than the limit', async () => {
  world = await World.start([routed('n1')], { maxSocketsPerNode: 2 })
  const node = dialAs(credentialOf('n1'))
  node.follows = false
  assert.deepEqual([await node.dial(), await node.dial(), await node.dial()], [101, 101, 429])
})
