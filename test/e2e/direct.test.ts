import { once } from 'node:events'
import { createServer } from 'node:https'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { issue, makeAuthority } from '../../src/lib/certificate.ts'
import { freePort } from '../../src/main/ports.ts'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { type Plane, startPlane, until } from './plane.ts'
import { addressBeyondLoopback, RentedMachines } from './rented-machines.ts'

const host = addressBeyondLoopback()
const machines = new RentedMachines()
let directPort: number
let plane: Plane

beforeAll(async () => {
  directPort = await freePort(host)
  const slurm = { nodeBin: process.execPath, regions: ['lab/main'], direct: true, directPort }
  plane = await startPlane({
    scripts: { rented: {} },
    config: { listen: { host }, gateway: { host }, skypilot: { url: await machines.start(), clouds: { slurm } } },
  })
  machines.sky.endpointHost = host
})
afterAll(async () => {
  await plane?.end()
  await machines.stop()
})

async function launched(): Promise<LaunchDetail> {
  const launch = await plane.launched('rented', { wish: { clouds: ['slurm'], gpus: ['H100'], gpuCount: 1 } })
  return plane.reaches(launch.id, ['live'], 40_000)
}

async function answersWhole(key: string): Promise<void> {
  const streamed = await plane.chat('rented', key, { stream: true })
  expect((await streamed.text()).trimEnd().endsWith('data: [DONE]')).toBe(true)
}

async function released(launch: LaunchDetail): Promise<void> {
  const node = await plane.node(launch)
  await plane.client.releaseNode({ params: { id: node.id } })
  await plane.reaches(launch.id, ['ended'], 60_000)
  const none = async () => (await plane.machines()).size === 0
  await until(none, 10_000, () => 'the machine runs on')
}

async function directSockets(): Promise<number> {
  const text = await (await fetch(`${plane.gatewayUrl}/metrics`)).text()
  const lines = [...text.matchAll(/^flightdeck_gateway_direct_sockets\{[^}]*\} (\d+)$/gm)]
  return lines.reduce((sum, [, count]) => sum + Number(count), 0)
}

test('a machine is called at the address that its cloud tells, serves there, and is released', async () => {
  const live = await launched()
  const called = async () => (await directSockets()) > 0
  await until(called, 30_000, () => 'no direct connection comes about')
  await answersWhole(await plane.key())
  await released(live)
}, 120_000)

test('a stranger at that address hears neither token nor request, and the machine is served by what it lends', async () => {
  const terms = { hosts: [host], now: Date.now(), days: 1 }
  const heard: unknown[] = []
  let knocked = 0
  const stranger = createServer(issue(makeAuthority('Flightdeck', terms), terms), (asked) => heard.push(asked.headers))
  stranger.on('upgrade', ({ headers }) => heard.push(headers))
  stranger.on('connection', () => {
    knocked += 1
  })
  stranger.listen(directPort)
  await once(stranger, 'listening')
  const live = await launched()
  await until(
    () => knocked > 0,
    30_000,
    () => 'nobody calls the address',
  )
  await answersWhole(await plane.key('second'))
  expect([await directSockets(), heard]).toEqual([0, []])
  await released(live)
  stranger.close()
}, 120_000)
