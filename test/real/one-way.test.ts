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
const shown = (): Promise<NodeDetail> => plane.client.showNode({ params: { id: node.id } })

async function launched(): Promise<NodeDetail> {
  const launch = await plane.launched('rented', { wish })
  return plane.node(await plane.reaches(launch.id, ['live'], 90_000))
}

beforeAll(async () => {
  network.start()
  const { host } = network
  const slurm = { nodeBin: process.execPath }
  plane = await startPlane({
    scripts: { rented: {} },
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
  'a network in which nothing arrives that the machine %s: the node gets no requests, the other serves, nothing is released, and it is back once the network is',
  async (direction) => {
    await until(
      async () => (await shown()).signals.probe.value === 'good',
      90_000,
      () => 'it is never probed',
    )
    const before = (await plane.machines()).get(node.name)
    network.cut(direction)
    await until(
      async () => (await shown()).verdict === 'suspect',
      120_000,
      () => 'nobody notices',
    )
    for (let i = 0; i < 10; i++) expect((await plane.chat('rented', key)).status).toBe(200)
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
