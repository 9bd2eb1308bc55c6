import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { afterEach, test } from 'vitest'
import { answerJson } from './fake-node.ts'
import { routed, World } from './fake-world.ts'
import { PassiveHealth } from './passive-health.ts'
import { NodePool } from './pool.ts'

const limits = { maxSockets: 8, maxWaiting: 8 }
const hello = { model: 'm', messages: [{ role: 'user', content: 'Hello' }] }

function fleet(size: number) {
  const pools = Array.from({ length: size }, (_, i) => {
    const pool = new NodePool(routed(`n${i}`), limits)
    pool.add(new Socket())
    return pool
  })
  const suspected: string[] = []
  const passive = new PassiveHealth(
    () => pools,
    ({ node }) => suspected.push(node.id),
  )
  const fail = (pool: NodePool | undefined, times: number, now = 0) => {
    assert(pool)
    for (let i = 0; i < times; i++) passive.failed(pool, now)
  }
  return {
    pools,
    passive,
    fail,
    suspected,
    out: () => pools.filter(({ ejectedUntil }) => ejectedUntil !== null).length,
  }
}

let world: World | null = null
afterEach(async () => {
  await world?.end()
  world = null
})

test('five failures in a row eject a node, one success between them does not, and every failure asks for a probe', () => {
  const { pools, passive, fail, out, suspected } = fleet(2)
  const [ill] = pools
  fail(ill, 4)
  if (ill) passive.worked(ill)
  fail(ill, 4)
  assert.equal(out(), 0)
  fail(ill, 1)
  assert.equal(out(), 1)
  assert.equal(suspected.length, 9)
})

test('an ejection lasts 30 s, grows with each one up to 300 s, and is forgotten after five quiet minutes', () => {
  const { pools, passive, fail } = fleet(2)
  const [ill] = pools
  assert(ill)
  let now = 0
  const lengths = Array.from({ length: 12 }, () => {
    fail(ill, 5, now)
    const until = ill.ejectedUntil ?? Number.NaN
    const length = until - now
    passive.sweep(pools, until - 1)
    assert.notEqual(ill.ejectedUntil, null)
    now = until
    passive.sweep(pools, now)
    assert.equal(ill.ejectedUntil, null)
    return length / 1_000
  })
  assert.deepEqual(lengths, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300])
  passive.sweep(pools, now + 300_000)
  fail(ill, 5, now + 300_000)
  assert.equal(ill.ejectedUntil, now + 330_000)
})

test('the last node that serves is never ejected, and of many no more than a tenth', () => {
  const alone = fleet(1)
  alone.fail(alone.pools[0], 50)
  assert.equal(alone.out(), 0)
  const pair = fleet(2)
  for (const pool of pair.pools) pair.fail(pool, 50)
  assert.equal(pair.out(), 1)
  const doubted = fleet(2)
  const [, other] = doubted.pools
  if (other) other.doubtful = true
  doubted.fail(doubted.pools[0], 50)
  assert.equal(doubted.out(), 0)
  const many = fleet(25)
  for (const pool of many.pools) many.fail(pool, 50)
  assert.equal(many.out(), 2)
})

test('a node whose engine fails requests gets none after the fifth, while its probes are good', async () => {
  world = await World.start([routed('n1'), routed('n2')])
  let failed = 0
  const ill = await world.node('n1', ({ socket }) => {
    failed += 1
    answerJson(socket, { error: { message: 'CUDA error' } }, 500)
  })
  await world.control.until((reports) => reports.some(({ probes }) => probes[0]?.good))
  const well = await world.node('n2', ({ socket }) => answerJson(socket, { by: 'n2' }))
  const statuses: number[] = []
  for (let i = 0; i < 60; i++) statuses.push((await world.post(hello)).status)
  assert.equal(failed, 5)
  assert.equal(statuses.filter((status) => status === 500).length, 5)
  assert.equal(statuses.filter((status) => status === 200).length, 55)
  const page = (await world.get('/metrics')).body
  assert.match(page, /flightdeck_gateway_ejections_total 1/)
  assert.match(page, /flightdeck_gateway_ejected\{node="fd-test-n1"\} 1/)
  well.close()
  await world.control.until((reports) => reports.at(-1)?.nodes[1]?.spareSockets === 0)
  ill.script = ({ socket }) => answerJson(socket, { by: 'n1' })
  assert.equal((await world.post(hello)).body, '{"by":"n1"}')
})

test('a client that asks for what the engine cannot do ejects nobody', async () => {
  world = await World.start([routed('n1'), routed('n2')])
  for (const id of ['n1', 'n2']) await world.node(id, ({ socket }) => answerJson(socket, { error: {} }, 501))
  for (let i = 0; i < 20; i++) assert.equal((await world.post(hello)).status, 501)
  assert.match((await world.get('/metrics')).body, /flightdeck_gateway_ejections_total 0/)
})
