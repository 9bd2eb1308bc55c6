import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { SimSkyPilot } from '../../sim/skypilot.ts'
import { SkyApi } from './api.ts'
import { EndpointWatch } from './endpoint-watch.ts'
import { type DirectPorts, SkyLaunches } from './launches.ts'

const name = 'fd-abc12-n1'
let later = 0
const clock = { now: systemClock.now, monotonicMs: () => systemClock.monotonicMs() + later }

let sky: SimSkyPilot
let api: SkyApi
const open: SkyLaunches[] = []
beforeEach(async () => {
  later = 0
  sky = new SimSkyPilot()
  api = new SkyApi({ url: await sky.start(), userId: 'f11e4dec', command: 'flightdeck tests' })
})
afterEach(async () => {
  for (const launches of open.splice(0)) launches.close()
  await sky.stop()
})

function looking(directPorts?: DirectPorts) {
  const launches = new SkyLaunches(api, clock, 'fd-abc12-', directPorts)
  open.push(launches)
  return async () => (await launches.look()).find((listed) => listed.name === name)
}

test('where gateways call machines, a look tells the address that the server has for the port, once it has one', async () => {
  const look = looking(new Map([['slurm', 8_443]]))
  await api.launch({ clusterName: name, task: 'infra: "slurm/lab/main"' })
  await expect.poll(async () => (await look())?.ask, { timeout: 10_000 }).toMatchObject({ machine: true, open: false })
  expect((await look())?.detail['direct']).toBeUndefined()
  sky.endpointHost = '192.0.2.7'
  later += 60_000
  await expect.poll(async () => (await look())?.detail['direct'], { timeout: 10_000 }).toBe('192.0.2.7:8443')
  const other = looking()
  await other()
  expect((await other())?.detail['direct']).toBeUndefined()
})

test('an address that was told stays while the server cannot say, and is asked for again when it is old', async () => {
  const answers = ['192.0.2.7:1', null, '192.0.2.8:1']
  let asked = 0
  const watch = new EndpointWatch({ endpoint: async () => answers[asked++] ?? null }, clock)
  const address = () => watch.addressOf(name, 1)
  const timesAsked = () => {
    address()
    return asked
  }
  await expect.poll(address).toBe('192.0.2.7:1')
  later += 301_000
  await expect.poll(timesAsked).toBe(2)
  expect(address()).toBe('192.0.2.7:1')
  later += 11_000
  await expect.poll(address).toBe('192.0.2.8:1')
})

test.each([
  'http://evil/path',
  'user@192.0.2.7:1',
  '192.0.2.7:1/x',
  '192.0.2.7:1?x',
  'not an address',
  '192.0.2.7:1\\@evil',
])('an answer that is more than a host and a port is no address (%s)', async (answer) => {
  let asked = 0
  const endpoint = async () => {
    asked += 1
    return answer
  }
  const watch = new EndpointWatch({ endpoint }, clock)
  const address = () => watch.addressOf(name, 1)
  const timesAsked = () => {
    address()
    return asked
  }
  await expect.poll(timesAsked).toBe(1)
  later += 11_000
  await expect.poll(timesAsked).toBe(2)
  expect(address()).toBeNull()
})
