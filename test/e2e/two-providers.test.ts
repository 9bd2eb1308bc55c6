import { afterAll, beforeAll, expect, test } from 'vitest'
import { ledgerIsWhole, type Plane, startPlane, until } from './plane.ts'
import { RentedMachines } from './rented-machines.ts'

const machines = new RentedMachines()
let plane: Plane

beforeAll(async () => {
  machines.sky.faults.infra = ['aws', 'slurm/lab']
  machines.sky.faults.full = new Set(['aws/aws-1'])
  const given = { nodeBin: process.execPath, onThisHost: true }
  plane = await startPlane({
    scripts: { rented: {} },
    config: {
      launch: { rounds: 1, triesPerOffer: 1, firstBackOffS: 1 },
      skypilot: { url: await machines.start(), clouds: { aws: given, slurm: given } },
    },
  })
  const offered = async () => {
    const { items } = await plane.client.listOffers({})
    return ['aws', 'slurm'].every((name) => items.some(({ cloud }) => cloud === name))
  }
  await until(offered, 60_000, () => 'one of the providers offers nothing')
})
afterAll(async () => {
  await plane?.end()
  await machines.stop()
})

test('a provider without room is left for the next one of the same API server: both attempts are told with price and time, and the first one keeps no machine', async () => {
  const { sky } = machines
  const wish = { clouds: ['aws', 'slurm'], gpus: ['H100'], gpuCount: 1, spot: 'never' }
  const launch = await plane.launched('rented', { wish })
  const live = await plane.reaches(launch.id, ['live'], 90_000)
  const [first, second, ...more] = live.attempts
  expect(more).toEqual([])
  expect(first).toMatchObject({
    offer: { cloud: 'aws', region: 'aws-1', pricePerHourMicroUsd: 2_000_000 },
    nodeState: 'gone',
    outcome: 'failed',
    failure: { code: 'no_capacity' },
    costMicroUsd: 0,
  })
  expect(second).toMatchObject({
    offer: { cloud: 'slurm', region: 'lab/main', pricePerHourMicroUsd: 2_500_000 },
    nodeState: 'ready',
    failure: null,
  })
  expect(first?.seconds).toBeGreaterThan(0)
  expect(second?.seconds).toBeGreaterThan(0)
  // Each was asked for once, at its own place, and only the second one has a machine.
  const asked = sky.posted.map(({ cluster_name: name, task }) => [name, /infra: "?([^"\n]+)/.exec(String(task))?.[1]])
  expect(asked).toEqual([
    [first?.nodeName, 'aws/aws-1'],
    [second?.nodeName, 'slurm/lab/main'],
  ])
  expect([...sky.machines.keys()]).toEqual([second?.nodeName])
  expect([...sky.clusters.keys()]).toEqual([second?.nodeName])
  expect((await plane.chat('rented', await plane.key())).status).toBe(200)

  await plane.client.cancelLaunch({ params: { id: launch.id } })
  const over = await plane.reaches(launch.id, ['cancelled', 'ended'], 90_000)
  ledgerIsWhole(await plane.node(over))
  expect(sky.machines.size).toBe(0)
}, 240_000)
