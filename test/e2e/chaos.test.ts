import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { pause } from '../../src/lib/clock.ts'
import { query } from '../../src/store/test-database.ts'
import type { EventView } from '../../src/wire/views.ts'
import { EngineWatch, slotsOf } from './engine-watch.ts'
import { Hold } from './hold.ts'
import { ledgerIsWhole, type Plane, startPlane, until } from './plane.ts'
import { startServer, type TestServer } from './server.ts'

const requestsPerS = 2
const ended: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end()
}, 60_000)

/** A small seeded generator, so that a run that fails can be run again as it was. */
function chances(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296
    return state / 4_294_967_296
  }
}

async function twoPlanes(
  config: Record<string, unknown>,
): Promise<{ first: Plane; second: Plane; server: TestServer }> {
  const server = await startServer()
  ended.push(server.end)
  const scripts = { quick: { startupMs: 400 }, slow: { startupMs: 2_500 } }
  const local = { maxMachines: 64 }
  const first = await startPlane({ scripts, databaseUrl: server.url, config, local })
  ended.push(() => first.end())
  const second = await startPlane({ scripts, databaseUrl: server.url, config, local, beside: first, gateway: false })
  ended.push(() => second.end())
  return { first, second, server }
}

/** Whom each kill meets: the one, the other, or both at once; shuffled, so that each is met often. */
function victims(random: () => number, [first, second]: readonly [Plane, Plane]): Plane[][] {
  const alone = [first, second, first, second, first, second, first, second].map((plane) => [plane])
  const kills = [...alone, [first, second], [first, second]].map((planes) => ({ planes, place: random() }))
  return kills.sort((a, b) => a.place - b.place).map(({ planes }) => planes)
}

test('two control planes, killed and restarted at random during 20 launches: never two engines for one slot', {
  timeout: 480_000,
  // Another try would draw another seed, and forget the one that found something.
  retry: 0,
}, async () => {
  const seed = Number(process.env.FLIGHTDECK_SEED ?? Date.now() % 100_000)
  console.info(`seed ${seed} (FLIGHTDECK_SEED=${seed} runs it again)`)
  const random = chances(seed)
  // So few at a time that some wait in the queue.
  const { first, second, server } = await twoPlanes({ queue: { attemptsInFlight: 3 }, claimHoldS: 3 })
  const inFlight = async () => {
    const [row] = await query(
      { url: server.url },
      `select count(*)::int as n from launches where state in ('attempting', 'backing_off')`,
    )
    return Number(row?.n)
  }
  const ids: string[] = []
  const watch = new EngineWatch(first)
  const metInFlight: number[] = []
  for (const killed of victims(random, [first, second])) {
    for (let i = 0; i < 2; i++) ids.push((await first.launched('slow', { deployment: `one-${ids.length}` })).id)
    await until(
      async () => (await inFlight()) > 0,
      30_000,
      () => 'no launch is attempted',
    )
    // Anywhere in what an attempt does before its engine serves, which takes it longer than this.
    await new Promise((resolve) => setTimeout(resolve, random() * 1_500))
    await Promise.all(killed.map((plane) => plane.signal('SIGKILL')))
    metInFlight.push(await inFlight())
    await new Promise((resolve) => setTimeout(resolve, random() * 500))
    await Promise.all(killed.map((plane) => plane.start()))
  }
  for (const id of ids) await first.reaches(id, ['live'], 120_000)

  const slots = await slotsOf(first, ids)
  expect(metInFlight.filter((n) => n > 0).length, `in flight at the kills: ${metInFlight}`).toBeGreaterThanOrEqual(9)
  expect(await watch.faults(slots), `seed ${seed}, ${watch.looks} looks`).toEqual([])
  expect(new Set(slots.values()).size).toBe(20)
  const launches = await Promise.all(ids.map((id) => first.client.showLaunch({ params: { id } })))
  // On a busy machine a limit may run out; the one machine is given back before the next is asked for.
  const before = launches.flatMap(({ attempts }) => attempts.slice(0, -1))
  expect(before.filter(({ nodeState, failure }) => nodeState !== 'gone' || failure === null)).toEqual([])
  const engines = [...(await first.running('scripted-engine'))].map(([name, pids]) => [name, pids.length])
  const wanted = launches.map(({ attempts }) => [attempts.at(-1)?.nodeName, 1])
  expect(engines.sort(), `seed ${seed}: engines of each machine`).toEqual(wanted.sort())
  expect([...(await first.machines()).keys()].sort()).toEqual(wanted.map(([name]) => name))
  if (before.length > 0) console.info(`tried again: ${JSON.stringify(before.map(({ failure }) => failure?.cause))}`)
})

interface HeldClaim {
  readonly holder: string
  readonly token: number | null
  /** Epoch ms. */
  readonly until: number | null
}

/** Keeps every pass over a node from reading on, until a door is open. */
const readsWait = `do $$ begin
  lock table sightings in access exclusive mode;
  while not exists (select from doors) loop perform pg_sleep(0.01); end loop;
end $$`
const locked = `select from pg_locks where relation = 'sightings'::regclass and mode = 'AccessExclusiveLock' and granted`
// Of all who read what clouds say of machines, only a pass over one node asks who ended it.
const waitingRead = `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%->> ''ended''%'`
const nodeClaims = `select holder, token, until from claims where loop = 'node'`

/** Stops a control plane that has claimed a node and read it as `intended`, before it hears what it has read. */
async function stoppedInPass(victim: Plane, url: string): Promise<string> {
  const ask = (sql: string) => query({ url }, sql)
  const hold = await Hold.on(url)
  ended.push(() => hold.close())
  await hold.at(['nodes', 'intended'])
  const launch = await victim.launched('quick')
  await hold.holds()
  await hold.lift()
  await ask('create table doors (open boolean)')
  const held = ask(readsWait)
  await until(
    async () => (await ask(locked)).length > 0,
    20_000,
    () => 'the reads are not held',
  )
  await victim.client.pause({ body: { paused: false } })
  await until(
    async () => (await ask(waitingRead)).length > 0,
    30_000,
    () => 'nobody reads the node',
  )
  await victim.signal('SIGSTOP')
  await ask('insert into doors values (true)')
  await held
  return launch.id
}

test('a control plane stopped in the middle of a pass, past its claim, while another works: what it then writes is refused', async () => {
  const { first, second, server } = await twoPlanes({ claimHoldS: 2 })
  const ask = (sql: string) => query({ url: server.url }, sql)
  const claim = async () => (await ask(nodeClaims))[0] as HeldClaim | undefined
  const nameOf = ({ dir }: Plane) => readFileSync(join(dir, 'server-name'), 'utf8').trim()
  await second.signal('SIGSTOP')
  const id = await stoppedInPass(first, server.url)
  const before = await claim()
  expect(before).toEqual({ holder: nameOf(first), token: expect.any(Number), until: expect.any(Number) })

  await second.signal('SIGCONT')
  const live = await second.reaches(id, ['live'], 60_000)
  expect(Date.now()).toBeGreaterThan(before?.until ?? Number.POSITIVE_INFINITY)
  const after = await claim()
  expect(after?.holder).toBe(nameOf(second))
  expect(after?.token).not.toBe(before?.token)

  const node = () => second.node(live)
  // Its states, and not what the signals say of it: they go on.
  const isStep = ({ kind, text }: EventView) => !/verdict|signal/.test(kind) && text.includes(' -> ')
  const steps = async () => (await node()).timeline.filter(isStep).map(({ text }) => text)
  const taken = await steps()
  const engines = await second.running('scripted-engine')
  const wokenAt = Date.now()
  await first.signal('SIGCONT')
  const pass = async () => {
    const { loops } = await second.client.status()
    return loops.find(({ loop, server: name }) => loop === 'node' && name === nameOf(first))
  }
  await until(
    async () => Date.parse((await pass())?.lastPassAt ?? '') >= wokenAt,
    30_000,
    () => 'the one that was stopped does not end its pass',
  )
  expect(await pass()).toMatchObject({ moved: 0, error: null })
  expect(await steps()).toEqual(taken)
  expect(await second.running('scripted-engine')).toEqual(engines)
  expect((await node()).state).toBe('ready')
  ledgerIsWhole(await node())

  // Alone now, it goes on with its own work.
  await second.signal('SIGKILL')
  const another = await first.launched('quick', { deployment: 'another' })
  await first.reaches(another.id, ['live'], 60_000)
  expect([...(await first.running('scripted-engine')).values()].map((pids) => pids.length)).toEqual([1, 1])
  for (const one of [live, another])
    expect((await first.client.showLaunch({ params: { id: one.id } })).attempts.length).toBe(1)
}, 180_000)

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
