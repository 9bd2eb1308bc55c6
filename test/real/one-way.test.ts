import { afterAll, beforeAll, expect, test } from 'vitest'
import type { NodeDetail } from '../../src/wire/views.ts'
import { type Plane, startPlane, until } from '../e2e/plane.ts'
import { RentedMachines } from '../e2e/rented-machines.ts'
import { OwnNetwork } from './own-network.ts'

const network = new OwnNetwork()
const machines = new RentedMachines()
let plane: Plane
let key: string
let node: NodeDetail

const wish = { clouds: ['slurm'], gpus: ['H100'], gpuCount: 1 }
/** Of 20 tokens a second: long enough to be in flight while the network is cut. */
const longAnswer = { max_tokens: 160 }
const limitMs = 5_000

const shown = (): Promise<NodeDetail> => plane.client.showNode({ params: { id: node.id } })

async function launched(): Promise<NodeDetail> {
  const launch = await plane.launched('rented', { wish })
  return plane.node(await plane.reaches(launch.id, ['live'], 90_000))
}

const inFlight = async (): Promise<number> => {
  const page = await (await fetch(`${plane.gatewayUrl}/metrics`)).text()
  return Number(new RegExp(`in_flight\\{node="${node.name}"\\} (\\d+)`).exec(page)?.[1])
}

/** Requests that wait for their first byte at both machines: half of them at the one that will be cut off. */
async function waiting(): Promise<Promise<string>[]> {
  const sent = Array.from({ length: 6 }, async () => {
    const answer = await plane.chat('rented', key, longAnswer)
    return `${answer.status} ${(await answer.text()).includes('"finish_reason"') ? 'whole' : 'torn'}`
  })
  await until(
    async () => (await inFlight()) === 3,
    10_000,
    () => 'they do not spread',
  )
  return sent
}

beforeAll(async () => {
  network.start()
  const { host } = network
  const slurm = { nodeBin: process.execPath }
  plane = await startPlane({
    scripts: { rented: { tokensPerS: 20 } },
    config: { listen: { host }, gateway: { host }, skypilot: { url: await machines.start(), clouds: { slurm } } },
  })
  machines.startedBy = network.enter
  node = await launched()
  machines.startedBy = []
  await launched()
  key = await plane.key()
})
afterAll(async () => {
  await plane?.end()
  await machines.stop()
  network.end()
})

test.each(['sends', 'is sent'] as const)(
  'a network in which nothing arrives that the machine %s: what waits there goes to the other within 5 s, nothing is released, and it is back once the network is',
  async (direction) => {
    await until(
      async () => (await shown()).signals.probe.value === 'good',
      90_000,
      () => 'it is never probed',
    )
    const before = (await plane.machines()).get(node.name)
    const sent = await waiting()
    network.cut(direction)
    const cutAt = performance.now()
    await until(
      async () => (await inFlight()) === 0,
      30_000,
      () => 'they wait there',
    )
    expect(performance.now() - cutAt).toBeLessThan(limitMs)
    await until(
      async () => (await shown()).verdict === 'suspect',
      120_000,
      () => 'nobody notices',
    )
    for (let i = 0; i < 10; i++) expect((await plane.chat('rented', key)).status).toBe(200)
    expect(new Set(await Promise.all(sent))).toEqual(new Set(['200 whole']))
    expect(await shown()).toMatchObject({ state: 'ready', billed: 'yes' })

    network.heal()
    await until(
      async () => (await shown()).verdict === 'healthy',
      120_000,
      () => 'it is not believed again',
    )
    expect(await shown()).toMatchObject({ state: 'ready', billed: 'yes', failure: null })
    expect((await plane.machines()).get(node.name)).toEqual(before)
    expect([...machines.sky.requests.values()].some(({ verb }) => verb === 'sky.down')).toBe(false)
  },
)
