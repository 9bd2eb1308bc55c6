import { afterAll, beforeAll, expect, test } from 'vitest'
import { engineTextScripts, everyTextIsTold } from '../engine-texts.ts'
import { type Plane, startPlane } from './plane.ts'
import { RentedMachines } from './rented-machines.ts'

const machines = new RentedMachines()
let plane: Plane

beforeAll(async () => {
  const url = await machines.start()
  machines.sky.faults.infra = ['aws']
  plane = await startPlane({
    scripts: engineTextScripts,
    config: {
      launch: { rounds: 1, triesPerOffer: 1 },
      skypilot: { url, clouds: { aws: { nodeBin: process.execPath, onThisHost: true } } },
    },
  })
})
afterAll(async () => {
  await plane?.end()
  await machines.stop()
})

test('on rented machines, every text that an engine is known to fail with ends its launch with class, words and remedy, and no machine is left', async () => {
  const wish = { clouds: ['aws'], gpus: ['H100'], gpuCount: 1, spot: 'never' }
  const ended = await everyTextIsTold(plane, { wish }, 240_000)
  for (const launch of ended) {
    const { state, billed, ledger } = await plane.node(launch)
    expect([state, billed, ledger.filter(({ closedAt }) => closedAt === null)]).toEqual(['gone', 'no', []])
  }
  expect(machines.rented).toHaveLength(ended.length)
  expect(machines.sky.machines.size).toBe(0)
}, 300_000)
