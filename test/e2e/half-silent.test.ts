import { afterAll, beforeAll, expect, test } from 'vitest'
import { SimSkyPilot } from '../../src/sim/skypilot.ts'
import { type Plane, startPlane, until } from './plane.ts'
import { SocketAgents } from './socket-agents.ts'

const model = 'fleet'
const fleet = 100
const alarm = new RegExp(`^${fleet / 2} of \\d+ nodes are suspect: it may be us`)

const sky = new SimSkyPilot()
let plane: Plane
let fake: SocketAgents

beforeAll(async () => {
  const slurm = { nodeBin: process.execPath, onThisHost: true }
  plane = await startPlane({
    scripts: { [model]: {} },
    config: {
      heartbeatS: 2,
      queue: { attemptsInFlight: fleet },
      launch: { perMinute: 10 * fleet },
      skypilot: { url: await sky.start(), launchesAtOnce: fleet, clouds: { slurm } },
    },
  })
  fake = new SocketAgents(plane, model)
}, 60_000)
afterAll(async () => {
  fake?.end()
  await plane?.end()
  await sky.stop()
})

const nodes = async () => {
  const { items } = await plane.client.listNodes({ query: { all: true, limit: 500 } })
  return items
}
const well = async () => (await nodes()).filter(({ state, verdict }) => state === 'ready' && verdict === 'healthy')
const asked = async () => (await plane.client.listLaunches({ query: { limit: 500 } })).items
const guard = async () => (await plane.client.status()).guard

test(`half of ${fleet} agents fall silent at once: an alarm, nothing is released, one machine at a time is asked for; when they are back all is as it was`, async () => {
  const wish = { clouds: ['slurm'], gpus: ['H100'], gpuCount: 1 }
  await plane.client.createDeployment({ body: { name: model, model, wanted: fleet, wish } })
  await until(
    async () => {
      await fake.join(sky)
      return (await well()).length === fleet && (await guard()) === null
    },
    150_000,
    () => `only ${fake.agents.size} agents came up`,
  )
  const before = (await nodes()).map(({ id }) => id).sort()
  // What is asked for from now on stays without a machine, as at a cloud that takes its time.
  sky.faults.stopBefore = 'machine'

  const lost = [...fake.agents].slice(0, fleet / 2)
  for (const [, agent] of lost) agent.fallSilent()
  const touched: string[] = []
  const mostAsked = async () => {
    for (const { id, name, state } of await nodes())
      if (before.includes(id) && state !== 'ready') touched.push(`${name} is ${state}`)
    const count = (await asked()).length
    if (count > fleet + 1) touched.push(`${count} launches`)
    return count
  }
  await until(
    async () => {
      const count = await mostAsked()
      return alarm.test((await guard()) ?? '') && count > fleet
    },
    150_000,
    () => 'no alarm is raised, or no machine is asked for',
  )
  expect(await plane.client.metrics()).toMatch(/^flightdeck_guard_active 1$/m)
  expect(await plane.client.metrics()).toMatch(/^flightdeck_guard_holds_total\{guard="suspects"\} [1-9]/m)

  for (const [, agent] of lost) agent.speak()
  const asBefore = async () => {
    await mostAsked()
    const living = (await nodes()).filter(({ state }) => state !== 'gone').map(({ id }) => id)
    const healthy = (await well()).map(({ id }) => id)
    return (await guard()) === null && [living, healthy].every((ids) => `${ids.sort()}` === `${before}`)
  }
  await until(asBefore, 150_000, () => 'it does not become as it was')
  const ended = [...sky.requests.values()]
    .filter(({ verb }) => verb === 'sky.down')
    .map(({ clusterName }) => clusterName)
  expect(ended.filter((name) => fake.agents.has(String(name)))).toEqual([])
  expect(touched).toEqual([])
}, 480_000)
