import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, test } from 'vitest'
import { reverse } from '../wire/paths.ts'
import { answerJson, chunk, FakeNode, streamHead, tokenEvent, wellEngine } from './fake-node.ts'
import { credentialOf, routed, World } from './fake-world.ts'

let world: World
afterEach(() => world.end())

const hello = { model: 'm', messages: [] }
const completion = { usage: { prompt_tokens: 3, completion_tokens: 4 } }
const script = wellEngine('m', ({ socket }) => answerJson(socket, completion))

async function redial(id: string): Promise<FakeNode> {
  const node = new FakeNode(world.port, credentialOf(id), script)
  world.nodes.push(node)
  assert.equal(await node.dial(), 101)
  return node
}

test('without control the gateway starts from its snapshot, takes nodes, serves, and tells everything later', async () => {
  world = await World.start()
  await world.node('n1', ({ socket }) => answerJson(socket, completion))
  assert.equal((await world.post(hello)).status, 200)
  await world.control.until(() => world.control.usage.length === 1)
  await world.control.close()
  await world.restart()
  await redial('n1')
  for (let i = 0; i < 3; i++) assert.equal((await world.post(hello)).status, 200)
  assert.match((await world.get('/metrics')).body, /^flightdeck_gateway_control_up 0$/m)
  await world.control.listen()
  await world.control.until(() => world.control.usage.reduce((sum, { requests }) => sum + requests, 0) === 4)
})

test('a damaged snapshot is not used', async () => {
  world = await World.start()
  await world.gateway.stop()
  await world.control.close()
  await writeFile(join(world.dir, 'data', 'table.json'), '{"version":"v1","nodes":[{"id":1}]}')
  await world.restart()
  const answer = await world.post(hello)
  assert.deepEqual([answer.status, JSON.parse(answer.body).error.code], [503, 'starting'])
  assert.equal((await world.get('/health')).status, 503)
  await world.control.listen()
})

test('usage that control refused to take is sent again and counts once', async () => {
  world = await World.start()
  await world.node('n1', ({ socket }) => answerJson(socket, completion))
  world.control.takesReports = false
  for (let i = 0; i < 3; i++) await world.post(hello)
  world.control.takesReports = true
  await world.control.until(() => world.control.usage.length > 0)
  await world.control.until((reports) => reports.at(-1)?.batch === null)
  const { usage } = world.control
  assert.equal(
    usage.reduce((sum, { requests }) => sum + requests, 0),
    3,
  )
  assert.equal(
    usage.reduce((sum, { completionTokens }) => sum + completionTokens, 0),
    12,
  )
})

test('a node is probed as soon as it is there, and a change of its health is told at once', async () => {
  world = await World.start([routed('n1')], { reportMs: 60_000, badProbeMs: 20, probeMs: 40, tokenProbeMs: 20 })
  const node = await world.node('n1', ({ socket }) => answerJson(socket, completion))
  await world.control.until(() => world.control.probe()?.good === true)
  const well = world.control.probe()
  assert.equal(well?.detail, 'Healthy, lists "m", and gave a token.')
  const ill: [string, RegExp, typeof script][] = [
    ['health', /GET \/health answered 503; 200 was expected/, ({ socket }) => answerJson(socket, {}, 503)],
    [
      'another model',
      /does not list "m"; it lists: x/,
      ({ socket, path }) => answerJson(socket, path === '/health' ? {} : { data: [{ id: 'x' }] }),
    ],
    [
      'no token',
      /one token answered 500/,
      (request) => (request.path === '/v1/completions' ? answerJson(request.socket, {}, 500) : script(request)),
    ],
  ]
  for (const [name, detail, illness] of ill) {
    node.script = illness
    await world.control.until(() => world.control.probe()?.good === false)
    assert.match(world.control.probe()?.detail ?? '', detail, name)
    node.script = script
    await world.control.until(() => world.control.probe()?.good === true)
  }
})

test('a result is told until control took it, and then no more', async () => {
  world = await World.start([routed('n1')], { probeMs: 600_000, reportMs: 20 })
  world.control.takesReports = false
  const node = await world.node('n1', () => undefined)
  await node.until(({ requests }) => requests.some(({ path }) => path === '/v1/completions'))
  world.control.takesReports = true
  await world.control.until(() => world.control.probe()?.good === true)
  const at = world.control.reports.length
  await world.control.until((reports) => reports.length > at + 5)
  assert.deepEqual(
    world.control.reports.slice(at).flatMap(({ probes }) => probes),
    [],
  )
})

// vLLM has no such path, llama-server with --embeddings does not support it, others find the question wrong.
test.each([404, 501, 400])(
  'an engine that only embeds is well, and is asked for no token again: %i',
  async (status) => {
    world = await World.start([routed('n1')], { probeMs: 20, badProbeMs: 20, tokenProbeMs: 1 })
    const node = await world.node('n1', () => undefined)
    node.script = (request) =>
      request.path === '/v1/completions' ? answerJson(request.socket, {}, status) : script(request)
    await world.control.until(() => world.control.probe()?.detail.includes('does not generate') ?? false)
    const asked = node.requests.length
    await node.until(({ requests }) => requests.length > asked + 6)
    assert.equal(node.requests.slice(asked).filter(({ path }) => path === '/v1/completions').length, 0)
    assert.equal(world.control.probe()?.good, true)
  },
)

test('a node whose own probe failed is chosen only when there is no other', async () => {
  world = await World.start([routed('n1'), routed('n2')], { badProbeMs: 30, probeMs: 30, tokenProbeMs: 60_000 })
  const ill = await world.node('n1', ({ socket }) => answerJson(socket, { by: 'n1' }))
  ill.script = (request) =>
    request.path === '/health' ? answerJson(request.socket, {}, 503) : answerJson(request.socket, { by: 'n1' })
  const well = await world.node('n2', ({ socket }) => answerJson(socket, { by: 'n2' }))
  await world.control.until(() => world.control.probe()?.good === false)
  for (let i = 0; i < 8; i++) assert.equal((await world.post(hello)).body, '{"by":"n2"}')
  well.close()
  await world.control.until((reports) => reports.at(-1)?.nodes[1]?.spareSockets === 0)
  assert.equal((await world.post(hello)).body, '{"by":"n1"}')
})

test('a node that is to drain gets no new request, ends those that it has, and is nudged once', async () => {
  world = await World.start()
  const node = await world.node('n1', () => undefined)
  const sent = world.post(hello)
  await node.until(({ generations }) => generations.length === 1)
  world.setNode('n1', { order: 'drain' })
  const nudges = () => node.requests.filter(({ path }) => path === reverse.nudgePath)
  await node.until(() => nudges().length === 1)
  assert.equal((await world.post(hello)).status, 503)
  world.setNode('n1', { order: 'end' })
  await world.control.until((reports) => reports.at(-1)?.tableVersion === world.control.table.version)
  assert.match(nudges()[0]?.line ?? '', /^POST /)
  assert.equal(nudges().length, 1)
  const [held] = node.generations
  if (held) answerJson(held.socket, completion)
  assert.equal((await sent).status, 200)
})

test('a node that left the table is gone: what waits there goes to another, a stream that has begun ends with the error', async () => {
  world = await World.start([routed('n1')])
  const node = await world.node('n1', ({ socket, body }) => {
    if (body.includes('"stream":true')) socket.write(streamHead + chunk(tokenEvent('one')))
  })
  const plain = world.post(hello)
  const begun = Promise.withResolvers<void>()
  const stream = world.post({ ...hello, stream: true }, { onData: () => begun.resolve() })
  await begun.promise
  await node.until(({ generations }) => generations.length === 2)
  world.control.change({ nodes: [...world.control.table.nodes, routed('n2')] })
  await world.control.until((reports) => reports.at(-1)?.tableVersion === world.control.table.version)
  await world.node('n2', ({ socket }) => answerJson(socket, { by: 'n2' }))
  world.control.change({ nodes: [routed('n2')] })
  assert.equal((await plain).body, '{"by":"n2"}')
  const { body } = await stream
  assert.ok(body.startsWith(tokenEvent('one')) && body.includes('"stream_broken"') && !body.includes('[DONE]'), body)
  await node.until(({ sockets }) => sockets.size === 0)
  assert.equal(await node.dial(), 401)
})

test('a request that finds no node waits a moment for one: the next table may have it, or an agent dials again', async () => {
  world = await World.start([routed('n1', { routable: false }), routed('n2')])
  await world.node('n1', ({ socket }) => answerJson(socket, { by: 'n1' }))
  const early = world.post(hello)
  await world.get('/health')
  world.setNode('n1', { routable: true })
  assert.equal((await early).body, '{"by":"n1"}')
  world.setNode('n1', { routable: false })
  await world.control.until((reports) => reports.at(-1)?.tableVersion === world.control.table.version)
  const unmet = world.post(hello)
  await world.get('/health')
  await world.node('n2', ({ socket }) => answerJson(socket, { by: 'n2' }))
  assert.equal((await unmet).body, '{"by":"n2"}')
})

test('no more of them wait for a node to come than may wait at one', async () => {
  world = await World.start([routed('n1', { routable: false })], { maxWaitingPerNode: 1 })
  await world.node('n1', ({ socket }) => answerJson(socket, { by: 'n1' }))
  const both = [world.post(hello), world.post(hello)]
  const refused = await Promise.race(both)
  assert.deepEqual([refused.status, JSON.parse(refused.body).error.code], [503, 'no_node'])
  world.setNode('n1', { routable: true })
  assert.deepEqual((await Promise.all(both)).map(({ status }) => status).sort(), [200, 503])
})

test('stopping lets what is in flight end, cuts it at the limit, and keeps its usage', async () => {
  world = await World.start([routed('n1')], { stopMs: 150 })
  const node = await world.node('n1', () => undefined)
  const sent = [world.post(hello), world.post(hello)]
  await node.until(({ generations }) => generations.length === 2)
  const stopped = world.gateway.stop()
  const [held] = node.generations
  if (held) answerJson(held.socket, completion)
  const statuses = (await Promise.all(sent)).map(({ status }) => status).sort()
  assert.deepEqual(statuses, [200, 503])
  await stopped
  assert.equal(
    world.control.usage.reduce((sum, { requests }) => sum + requests, 0),
    2,
  )
  await world.restart()
})

test('a failed request has its node probed at once, and not at its next turn', async () => {
  world = await World.start([routed('n1')], { probeMs: 600_000 })
  const node = await world.node('n1', ({ socket }) => answerJson(socket, {}, 500))
  await world.control.until(() => world.control.probe()?.good === true)
  const { script: well } = node
  node.script = (request) => (request.path === '/health' ? answerJson(request.socket, {}, 503) : well(request))
  assert.equal((await world.post(hello)).status, 500)
  await world.control.until(() => world.control.probe()?.good === false)
})

test('a node that takes requests and says nothing is probed before its next turn', async () => {
  world = await World.start([routed('n1')], { probeMs: 600_000, badProbeMs: 50 })
  const node = await world.node('n1', () => undefined)
  await world.control.until(() => world.control.probe()?.good === true)
  const looks = () => node.requests.filter(({ path }) => path === '/health').length
  const before = looks()
  const sent = world.post(hello)
  await node.until(() => looks() > before)
  sent.abort()
  await assert.rejects(sent)
})

test('a node without a connection is told as out of reach after a while, and as well when it is back', async () => {
  world = await World.start([routed('n1')], { awayMs: 100, badProbeMs: 50, probeMs: 600_000 })
  const node = await world.node('n1', script)
  await world.control.until(() => world.control.probe()?.good === true)
  node.close()
  await world.control.until(() => world.control.probe()?.reached === false)
  const told = world.control.probe()
  assert.equal(told?.good, false)
  assert.match(told?.detail ?? '', /had no connection here/)
  await world.node('n1', script)
  await world.control.until(() => world.control.probe()?.good === true)
})
