import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { NodeView } from '../../src/wire/views.ts'
import { commandOf, type Plane, startPlane, until } from './plane.ts'

const model = 'steady'
// The gateway's usual times, scaled: an engine that hangs without a word is found after two minutes with those.
const times = { PROBE_MS: 1_000, BAD_PROBE_MS: 500, TOKEN_PROBE_MS: 2_000, TOKEN_TIMEOUT_MS: 4_000 }

let plane: Plane
let gateway: ChildProcess | undefined
afterEach(async () => {
  await plane?.end()
  if (gateway?.kill('SIGKILL')) await once(gateway, 'exit')
})

function startGateway(): void {
  const set = Object.entries(times).map(([name, ms]) => [`FLIGHTDECK_GATEWAY_${name}`, String(ms)])
  const main = join(import.meta.dirname, '../../src/main/gateway.ts')
  gateway = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main], {
    stdio: 'ignore',
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      FLIGHTDECK_GATEWAY_LISTEN: `127.0.0.1:${plane.gatewayPort}`,
      FLIGHTDECK_CONTROL_URL: plane.url,
      FLIGHTDECK_GATEWAY_TOKEN_FILE: join(plane.dir, 'gateway.token'),
      FLIGHTDECK_GATEWAY_DIR: join(plane.dir, 'gateway'),
      FLIGHTDECK_GATEWAY_URL: plane.gatewayUrl,
      ...Object.fromEntries(set),
    },
  })
}

const nodes = async () => (await plane.client.listNodes({ query: { all: true } })).items
const ready = async () => (await nodes()).filter(({ state, verdict }) => state === 'ready' && verdict === 'healthy')
const probed = async () => (await ready()).filter(({ signals }) => signals.probe.value === 'good')

/** From now on its health and its list of models stay good, and no token ever comes. */
async function wedge({ name }: NodeView): Promise<string> {
  const [pid = 0] = (await plane.running('scripted-engine')).get(name) ?? []
  const port = /--port\0(\d+)/.exec(commandOf(pid))?.[1]
  const url = `http://127.0.0.1:${port}`
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ tokens: 'never' })
  expect((await fetch(`${url}/sim/faults`, { method: 'POST', headers, body })).status).toBe(200)
  return url
}

test('an engine that answers health but gives no token gets no requests any more, is replaced, and its machine is released', async () => {
  plane = await startPlane({ scripts: { [model]: {} }, gateway: false })
  startGateway()
  await plane.client.createDeployment({ body: { name: model, model, wanted: 2 } })
  await until(
    async () => (await probed()).length === 2,
    90_000,
    () => 'the two replicas never serve',
  )
  const key = await plane.key()
  const [lost, other] = (await ready()) as [NodeView, NodeView]
  const engine = await wedge(lost)
  expect((await fetch(`${engine}/health`)).status).toBe(200)

  await until(
    async () => (await nodes()).some(({ id, verdict }) => id === lost.id && verdict === 'suspect'),
    60_000,
    () => 'nobody notices that no token comes',
  )
  const { timeline, signals } = await plane.client.showNode({ params: { id: lost.id } })
  expect(timeline.map(({ text }) => text).join()).toMatch(/-> suspect \(row engine-silent\)/)
  expect(signals.heartbeat.value).toBe('good')
  for (let i = 0; i < 10; i++) expect((await plane.chat(model, key)).status).toBe(200)

  const isReplaced = async () => {
    const serving = (await ready()).map(({ id }) => id)
    return serving.length === 2 && serving.includes(other.id) && !serving.includes(lost.id)
  }
  await until(isReplaced, 120_000, () => 'no other machine serves in its place')
  await until(
    async () => (await nodes()).some(({ id, state }) => id === lost.id && state === 'gone'),
    90_000,
    () => 'the machine that was replaced is not released',
  )
  expect((await plane.machines()).has(lost.name)).toBe(false)
}, 300_000)
