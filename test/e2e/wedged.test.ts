import { afterEach, expect, test } from 'vitest'
import type { NodeView } from '../../src/wire/views.ts'
import { setFaults } from './engine-faults.ts'
import { type Plane, startPlane, until } from './plane.ts'
import { startQuickGateway } from './quick-gateway.ts'

const model = 'steady'

let plane: Plane
let endGateway: (() => Promise<void>) | undefined
afterEach(async () => {
  await plane?.end()
  await endGateway?.()
})

const nodes = async () => (await plane.client.listNodes({ query: { all: true } })).items
const ready = async () => (await nodes()).filter(({ state, verdict }) => state === 'ready' && verdict === 'healthy')
const probed = async () => (await ready()).filter(({ signals }) => signals.probe.value === 'good')

test('an engine that answers health but gives no token gets no requests any more, is replaced, and its machine is released', async () => {
  plane = await startPlane({ scripts: { [model]: {} }, gateway: false })
  endGateway = startQuickGateway(plane)
  await plane.client.createDeployment({ body: { name: model, model, wanted: 2 } })
  await until(
    async () => (await probed()).length === 2,
    90_000,
    () => 'the two replicas never serve',
  )
  const key = await plane.key()
  const [lost, other] = (await ready()) as [NodeView, NodeView]
  // Its health and its list of models stay good.
  const engine = await setFaults(plane, lost.name, { tokens: 'never' })
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
