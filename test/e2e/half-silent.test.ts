import { afterAll, beforeAll, expect, test } from 'vitest'
import { SimSkyPilot } from '../../src/sim/skypilot.ts'
import { query } from '../../src/store/test-database.ts'
import { type Plane, startPlane, until } from './plane.ts'
import { startServer, type TestServer } from './server.ts'
import { SocketAgents } from './socket-agents.ts'

const model = 'fleet'
const fleet = 100
const alarm = new RegExp(`^${fleet / 2} of \\d+ nodes are suspect: it may be us`)

const sky = new SimSkyPilot()
let server: TestServer
let plane: Plane
let fake: SocketAgents

beforeAll(async () => {
  const slurm = { nodeBin: process.execPath, onThisHost: true }
  server = await startServer()
  plane = await startPlane({
    databaseUrl: server.url,
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
  await server?.end()
  await sky.stop()
})

const nodes = async () => {
  const { items } = await plane.client.listNodes({ query: { all: true, limit: 500 } })
  return items
}
const well = async () => (await nodes()).filter(({ state, verdict }) => state === 'ready' && verdict === 'healthy')
const asked = async () => (await plane.client.listLaunches({ query: { limit: 500 } })).items
const guard = async () => (await plane.client.status()).guard

/** As if they had been suspect for the half hour after which a node is called dead, and once each was looked at after that. */
async function dieOf(count: number): Promise<void> {
  const sql = (text: string) => query({ url: server.url }, text)
  await sql(`update nodes set verdict_since = verdict_since - interval '31 minutes' where verdict = 'suspect'`)
  const lookedAt = async () => {
    const dead = (await nodes()).filter(({ verdict }) => verdict === 'dead').length
    const due = await sql(`select from claims c join nodes n on n.id = c.row_id and n.verdict = 'dead'
      where c.loop = 'node' and (c.token is not null or c.due_at < now() + interval '1 second')`)
    return dead === count && due.length === 0
  }
  await until(lookedAt, 60_000, () => 'those that are silent are not called dead, or not looked at')
}

test(`half of ${fleet} agents fall silent at once: an alarm, nothing is released, not even what is called dead, one machine at a time is asked for; when they are back all is as it was`, async () => {
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

  await dieOf(fleet / 2)
  await mostAsked()

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

test('more than may fail at once are dead: they go one after the other, each only once another one serves in its place', async () => {
  const before = new Set((await well()).map(({ id }) => id))
  const lost = [...fake.agents].slice(0, fleet / 4)
  for (const [, agent] of lost) agent.fallSilent()
  await until(
    async () => /nodes are suspect/.test((await guard()) ?? ''),
    150_000,
    () => 'no alarm is raised',
  )
  await dieOf(lost.length)
  sky.faults.stopBefore = null
  const tooMany: string[] = []
  const threeWent = async () => {
    await fake.join(sky)
    const now = await nodes()
    const went = now.filter(({ id, state }) => before.has(id) && state !== 'ready').length
    const came = now.filter(({ id, readyAt }) => !before.has(id) && readyAt !== null).length
    if (went > came) tooMany.push(`${went} went, and ${came} came`)
    return went >= 3
  }
  await until(threeWent, 150_000, () => 'no dead node goes though others serve in their place')
  expect(tooMany).toEqual([])
  expect(await guard()).toMatch(/nodes are suspect/)
}, 480_000)
