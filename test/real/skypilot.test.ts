import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { type Plane, startPlane } from '../e2e/plane.ts'
import { clustersAt, slurmRig } from './slurm-rig.ts'

const deadline = { timeout: 120_000, interval: 500 }

let url: string
let plane: Plane

beforeAll(async () => {
  url = await slurmRig.up()
  plane = await startPlane({
    scripts: { quick: {} },
    config: {
      launch: { rounds: 1, triesPerOffer: 1 },
      skypilot: {
        url,
        clouds: { slurm: { onThisHost: true, nodeBin: process.execPath, cpus: '1', memoryGib: '1' } },
      },
    },
  })
  await vi.waitFor(async () => {
    const offers = (await plane.client.listOffers({})).items
    expect(offers.map(({ region }) => region)).toContain('lab/spot')
  }, deadline)
})
afterAll(async () => {
  await plane?.end()
  await slurmRig.down()
})
afterEach(() => nothingIsLeft())

/** Counted from outside: clusters at SkyPilot, jobs at Slurm, processes of this install. */
async function nothingIsLeft(): Promise<void> {
  await vi.waitFor(async () => {
    const clusters = (await clustersAt(url)).filter(({ name }) => name.startsWith(`fd-${plane.installId}-`))
    expect(clusters.map((cluster) => cluster.name)).toEqual([])
    expect(await slurmRig.jobs()).toEqual([])
    expect(await plane.machines()).toEqual(new Map())
  }, deadline)
}

const onSlurm = (...regions: string[]) => ({ wish: { clouds: ['slurm'], regions, gpu: 'H100', gpuCount: 1 } })

const failuresOf = ({ attempts }: LaunchDetail) => attempts.map(({ failure }) => failure?.code ?? null)

test('a machine in Slurm is launched, followed, asked through the gateway, billed and released without a trace', async () => {
  const launch = await plane.launched('quick', onSlurm('lab/main'))
  const live = await plane.reaches(launch.id, ['live'], 180_000)
  expect(live.attempts).toHaveLength(1)
  expect(await slurmRig.jobs()).toHaveLength(1)
  const node = await plane.node(live)
  expect(node).toMatchObject({ state: 'ready', billed: 'yes', offer: { cloud: 'slurm', region: 'lab/main' } })
  expect(node.gpus[0]).toMatchObject({ name: 'NVIDIA H100 80GB HBM3', memoryMib: 81_559 })

  const answer = await plane.chat('quick', await plane.key(), { stream: true })
  expect((await answer.text()).trimEnd().endsWith('data: [DONE]')).toBe(true)

  await plane.client.releaseNode({ params: { id: node.id } })
  const ended = await plane.reaches(launch.id, ['ended'], 120_000)
  const gone = await plane.node(ended)
  expect(gone).toMatchObject({ state: 'gone', billed: 'no' })
  expect(gone.costMicroUsd).toBeGreaterThan(0)
})

test('a partition that takes nobody is left for the next one, and the refusal is told', async () => {
  await slurmRig.setPartition('main', 'down')
  try {
    const launch = await plane.launched('quick', onSlurm('lab/main', 'lab/spot'))
    const live = await plane.reaches(launch.id, ['live'], 300_000)
    expect(failuresOf(live)).toEqual(['no_capacity', null])
    expect((await plane.node(live)).offer.region).toBe('lab/spot')
    await plane.client.cancelLaunch({ params: { id: launch.id } })
    await plane.reaches(launch.id, ['ended', 'cancelled'], 120_000)
  } finally {
    await slurmRig.setPartition('main', 'up')
  }
})
