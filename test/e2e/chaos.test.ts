import { afterEach, expect, test } from 'vitest'
import { pause } from '../../src/lib/clock.ts'
import { type Plane, startPlane, until } from './plane.ts'
import { startServer } from './server.ts'

const requestsPerS = 2
const ended: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end()
})

/** A small seeded generator, so that a run that fails can be run again as it was. */
function chances(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296
    return state / 4_294_967_296
  }
}

async function twoPlanes(config: Record<string, unknown> = {}): Promise<[Plane, Plane]> {
  const server = await startServer()
  ended.push(server.end)
  const scripts = { quick: { startupMs: 400 } }
  const local = { maxMachines: 64 }
  const first = await startPlane({ scripts, databaseUrl: server.url, config, local })
  ended.push(() => first.end())
  const second = await startPlane({ scripts, databaseUrl: server.url, config, local, beside: first, gateway: false })
  ended.push(() => second.end())
  return [first, second]
}

test('two control planes, killed and restarted at random during 20 launches: never two engines for one slot', async () => {
  const seed = Number(process.env.FLIGHTDECK_SEED ?? Date.now() % 100_000)
  console.info(`seed ${seed} (FLIGHTDECK_SEED=${seed} runs it again)`)
  const random = chances(seed)
  const planes = await twoPlanes({ queue: { attemptsInFlight: 6 }, claimHoldS: 3 })
  const [first] = planes
  const ids: string[] = []
  for (let i = 0; i < 20; i++) ids.push((await first.launched('quick', { deployment: `one-${i}` })).id)

  let mostMachines = 0
  let working = true
  const watching = (async () => {
    while (working) mostMachines = Math.max(mostMachines, (await first.machines()).size)
  })()
  const killing = (async () => {
    for (let kill = 0; kill < 8; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 300 + random() * 700))
      const victim = planes[random() < 0.5 ? 0 : 1]
      await victim.signal('SIGKILL')
      await new Promise((resolve) => setTimeout(resolve, random() * 500))
      await victim.start()
    }
  })()
  await killing
  for (const id of ids) await first.reaches(id, ['live'], 120_000)
  working = false
  await watching

  const machines = await first.machines()
  expect(machines.size, `seed ${seed}`).toBe(20)
  expect(mostMachines, `seed ${seed}: more machines than slots at some moment`).toBe(20)
  const engines = [...(await first.running('scripted-engine')).values()].map((pids) => pids.length)
  expect(engines, `seed ${seed}: engines of each machine`).toEqual(Array(20).fill(1))
  for (const id of ids) expect((await first.client.showLaunch({ params: { id } })).attempts.length).toBe(1)
}, 300_000)

test('a control plane stopped past its claims while another works: it wakes up and changes nothing', async () => {
  const [first, second] = await twoPlanes({ claimHoldS: 2 })
  const launch = await first.launched('quick')
  await first.signal('SIGSTOP')
  const live = await second.reaches(launch.id, ['live'], 60_000)
  await first.signal('SIGCONT')
  await first.reaches(launch.id, ['live'])
  // Alone now: what it goes on with is its own work, and what it held before is not done again.
  await second.signal('SIGKILL')
  const another = await first.launched('quick', { deployment: 'another' })
  await first.reaches(another.id, ['live'], 60_000)
  const engines = [...(await first.running('scripted-engine')).values()].map((pids) => pids.length)
  expect(engines).toEqual([1, 1])
  for (const { id } of [live, another])
    expect((await first.client.showLaunch({ params: { id } })).attempts.length).toBe(1)
}, 120_000)

test('the database stopped for 30 s: requests keep being routed, nothing is released, work resumes', async () => {
  const server = await startServer()
  ended.push(server.end)
  const plane = await startPlane({ scripts: { quick: {} }, databaseUrl: server.url })
  ended.push(() => plane.end())
  const launch = await plane.launched('quick')
  await plane.reaches(launch.id, ['live'])
  const key = await plane.key()
  await until(
    async () => (await plane.chat('quick', key)).status === 200,
    5_000,
    () => 'the key does not work yet',
  )
  const before = await plane.machines()

  await server.stop()
  // The outage itself is the subject: thirty seconds of it, with a request every half of a second.
  for (const end = Date.now() + 30_000; Date.now() < end; await pause(1_000 / requestsPerS)) {
    expect((await plane.chat('quick', key)).status).toBe(200)
  }
  await server.start()

  const after = await plane.reaches(launch.id, ['live'], 30_000)
  expect([...(await plane.machines()).keys()]).toEqual([...before.keys()])
  expect(after.attempts.length).toBe(1)
  const another = await plane.launched('quick')
  await plane.reaches(another.id, ['live'], 30_000)
}, 150_000)

test('the pause holds over a kill -9 and over a database that was away, until it is taken back', async () => {
  const server = await startServer()
  ended.push(server.end)
  const plane = await startPlane({ scripts: { quick: {} }, databaseUrl: server.url })
  ended.push(() => plane.end())
  await plane.client.pause({ body: { paused: true, reason: 'a test' } })
  const launch = await plane.launched('quick')
  const watchedSince = async (moment: number) => {
    const { loops } = await plane.client.status({})
    return loops.some(({ loop, lastPassAt }) => loop === 'health' && Date.parse(lastPassAt ?? '') > moment)
  }
  const lookedFor2s = async (since: number) =>
    until(
      () => watchedSince(since + 2_000).catch(() => false),
      60_000,
      () => 'the loops that only watch do not work',
    )
  const nothingHappened = async () => {
    expect((await plane.client.showLaunch({ params: { id: launch.id } })).state).toBe('queued')
    expect(await plane.machines()).toEqual(new Map())
  }

  await plane.signal('SIGKILL')
  await plane.start()
  await lookedFor2s(Date.now())
  await nothingHappened()

  await server.stop()
  await until(
    () =>
      plane.client.status({}).then(
        () => false,
        () => true,
      ),
    30_000,
    () => 'nobody notices that the database is away',
  )
  await server.start()
  await lookedFor2s(Date.now())
  await nothingHappened()

  await plane.client.pause({ body: { paused: false } })
  await plane.reaches(launch.id, ['live'], 30_000)
}, 150_000)
