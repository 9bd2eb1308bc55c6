import { afterEach, expect, test } from 'vitest'
import { signalProcess } from '../../src/clouds/local/processes.ts'
import type { NodeView } from '../../src/wire/views.ts'
import { commandOf, type Plane, type PlaneOptions, startPlane, until } from './plane.ts'

let plane: Plane
afterEach(() => plane?.end())

const model = 'steady'

/** Two replicas that serve, and a key that opens them. */
async function pairServes(options: PlaneOptions = {}): Promise<{ pair: NodeView[]; key: string }> {
  plane = await startPlane({ scripts: { [model]: { tokensPerS: 50 } }, ...options })
  await plane.client.createDeployment({ body: { name: model, model, wanted: 2 } })
  await until(
    async () => (await ready()).length === 2,
    60_000,
    () => 'the two replicas never serve',
  )
  const pair = await ready()
  const key = await plane.key()
  // The gateway takes a node's word for its model once it has probed it.
  await until(
    async () => (await ready()).every(({ signals }) => signals.probe.value === 'good'),
    30_000,
    () => 'the two are never probed',
  )
  return { pair, key }
}

const nodes = async () => (await plane.client.listNodes({ query: { all: true } })).items
const ready = async () => (await nodes()).filter(({ state, verdict }) => state === 'ready' && verdict === 'healthy')
const detail = (id: string) => plane.client.showNode({ params: { id } })
const happened = async (id: string, kind: string) => (await detail(id)).timeline.some((event) => event.kind === kind)
const sigAll = async (name: string, command: string, signal: NodeJS.Signals) => {
  for (const pid of (await plane.running(command)).get(name) ?? []) signalProcess(pid, signal)
}

async function isReplaced(lost: NodeView, other: NodeView): Promise<void> {
  let words = ''
  const done = async () => {
    const serving = await ready()
    words = JSON.stringify((await nodes()).map(({ name, state, verdict }) => [name, state, verdict]))
    return (
      serving.length === 2 && serving.some(({ id }) => id === other.id) && serving.every(({ id }) => id !== lost.id)
    )
  }
  await until(done, 120_000, () => `no other machine serves in its place: ${words}`)
  await until(
    async () => (await detail(lost.id)).state === 'gone',
    60_000,
    () => 'the machine that was replaced is not ended',
  )
  expect((await plane.machines()).get(lost.name)).toBeUndefined()
  expect((await plane.running('scripted-engine')).size).toBe(2)
}

test('a machine whose agent is killed for good gets no request, is replaced, and its engine ends with it', async () => {
  const { pair, key } = await pairServes()
  const [lost, other] = pair as [NodeView, NodeView]
  const pids = (await plane.machines()).get(lost.name) ?? []
  const engine = new Set((await plane.running('scripted-engine')).get(lost.name))
  for (const pid of pids.filter((one) => !engine.has(one))) signalProcess(pid, 'SIGKILL')
  expect([...engine].map(commandOf).join('')).not.toBe('')
  // Its closed sockets are all that the gateway needs to know.
  for (let i = 0; i < 20; i++) expect((await plane.chat(model, key)).status).toBe(200)
  await until(
    () => happened(lost.id, 'node.replace_asked'),
    60_000,
    () => 'nobody asks for another machine',
  )
  await isReplaced(lost, other)
}, 240_000)

test('an engine that hangs with its port open is taken away and replaced, while the other one serves', async () => {
  const { pair, key } = await pairServes()
  const [lost, other] = pair as [NodeView, NodeView]
  await sigAll(lost.name, 'scripted-engine', 'SIGSTOP')
  await until(
    async () => ['suspect', 'dead'].includes((await detail(lost.id)).verdict),
    90_000,
    () => 'nobody notices',
  )
  for (let i = 0; i < 10; i++) expect((await plane.chat(model, key)).status).toBe(200)
  await isReplaced(lost, other)
}, 240_000)

test('a hung engine that comes back while its replacement starts: nothing fails, and two machines are left', async () => {
  const { pair, key } = await pairServes({ scripts: { [model]: { phasesMs: { weights_load: 25_000 } } } })
  const [doubted] = pair as [NodeView, NodeView]
  await sigAll(doubted.name, 'scripted-engine', 'SIGSTOP')
  await until(
    async () => (await nodes()).length === 3,
    150_000,
    () => 'no other machine is asked for',
  )
  await sigAll(doubted.name, 'scripted-engine', 'SIGCONT')
  await until(
    () => happened(doubted.id, 'node.replace_withdrawn'),
    60_000,
    () => 'it never takes its slot back',
  )
  const settled = async () => {
    expect((await plane.chat(model, key)).status).toBe(200)
    return (await ready()).length === 2 && (await nodes()).filter(({ state }) => state === 'gone').length === 1
  }
  await until(settled, 90_000, () => 'it does not come to rest with two machines')
  expect((await plane.running('scripted-engine')).size).toBe(2)
}, 360_000)
