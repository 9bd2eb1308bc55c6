// Following launches through SkyPilot: the real adapter and control plane against the fake API server, in two processes.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openFeed } from '../src/cli/live-feed.ts'
import { isStep, shownStep } from '../src/clouds/skypilot/steps.ts'
import { StreamDecoder } from '../src/clouds/skypilot/stream.ts'
import { SimSkyPilot } from '../src/sim/skypilot.ts'
import { type Client, makeClient } from '../src/wire/client.ts'
import { databaseCpuMs } from './database-cpu.ts'
import { type Figures, nowMs, type Told } from './launch-plane.ts'

const singles = 15
const inFlight = 100
// A recorded launch takes 29 s, 22 s of them until its job is submitted; those that are followed are at that pace.
const pace = 0.2
const watchedMs = 22_000
// Long enough for six looks at each job, at the pace before its agent speaks.
const restedMs = 18_000
const settledMs = 5_000
const giveUpMs = 60_000

/** What is asked of it at most. */
export const skyTargets = {
  skyPostedP50Ms: 150,
  skyPostedBusyP50Ms: 150,
  skyLineMaxMs: 1_000,
  skyFollowingCpuPercent: 20,
  skyRestingCpuPercent: 20,
} as const

interface Scene {
  readonly sky: SimSkyPilot
  readonly child: ChildProcess
  readonly dataDir: string
  readonly url: string
  readonly token: string
  readonly client: Client
}

/** Ask -> post, line -> WebSocket, and the CPU for following many launches at once, before and after SkyPilot's success. */
export async function measureSkypilot() {
  const sky = new SimSkyPilot({ pace })
  const dataDir = mkdtempSync(join(tmpdir(), 'fd-bench-sky-'))
  const child = fork(join(import.meta.dirname, 'launch-plane.ts'), [dataDir, String(inFlight * 3), await sky.start()], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  try {
    const { url, adminToken: token } = await messageOf(child, 'ready')
    const scene = { sky, child, dataDir, url, token, client: makeClient({ url, token }) }
    await offersAreKnown(scene)
    const postedMs = await singlesToPost(scene)
    const lineMs = await lineToSocket(scene)
    const followed = await following(scene)
    return {
      skyPostedP50Ms: median(postedMs),
      // The same again while a hundred others are in flight.
      skyPostedBusyP50Ms: median(await singlesToPost(scene)),
      skyLineP50Ms: median(lineMs),
      skyLineMaxMs: round(Math.max(...lineMs)),
      ...followed,
      ...(await resting(scene)),
    }
  } finally {
    child.disconnect()
    await exited
    await sky.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function messageOf<K extends Told['kind']>(child: ChildProcess, kind: K): Promise<Extract<Told, { kind: K }>> {
  for (;;) {
    const [message] = (await once(child, 'message')) as [Told]
    if (message.kind === kind) return message as Extract<Told, { kind: K }>
  }
}

async function launch({ client }: Scene): Promise<string> {
  const made = await client.createLaunch({ body: { model: 'sim-small' } })
  if ('dryRun' in made) throw new Error('nothing was launched')
  return made.id
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = nowMs() + giveUpMs; !holds(); await pause(1)) if (nowMs() > end) throw new Error(`never: ${what}`)
}

/** With answers as slow as the real server's. */
async function singlesToPost(scene: Scene): Promise<number[]> {
  const { work } = scene.sky
  const postedMs: number[] = []
  work.pace = 1
  for (let i = 0; i < singles; i++) postedMs.push(await askToPost(scene))
  work.pace = pace
  return postedMs
}

async function askToPost(scene: Scene): Promise<number> {
  const before = scene.sky.posted.length
  const at = nowMs()
  await launch(scene)
  await until('the launch is posted', () => scene.sky.posted.length > before)
  return nowMs() - at
}

/** The time from each step that the server writes until a reader of the launch has it; one that never comes is a failure. */
async function lineToSocket(scene: Scene): Promise<number[]> {
  const { sky, url, token } = scene
  const said: { readonly cluster: string; readonly line: string; readonly at: number }[] = []
  const heardAt = new Map<string, number>()
  sky.onLine = (line, cluster) => said.push({ cluster, line, at: nowMs() })
  const ended = new AbortController()
  const feed = openFeed({ url, token, signal: ended.signal })
  feed.follow({ do: 'follow', topic: 'launch', id: await launch(scene) })
  for await (const event of feed.events) {
    if (event.kind !== 'message' || event.message.topic !== 'launch') continue
    const { steps } = event.message.launch
    for (const { text } of steps) if (!heardAt.has(text)) heardAt.set(text, nowMs())
    if (steps.some(({ text }) => text.startsWith('Job submitted'))) break
  }
  ended.abort()
  sky.onLine = null
  // Launches from before are still under way, and write the same lines.
  const name = sky.posted.at(-1)?.['cluster_name']
  const spoken = stepsIn(said.filter(({ cluster }) => cluster === name))
  const missed = [...spoken.keys()].filter((text) => !heardAt.has(text))
  if (spoken.size < 4 || missed.length > 0)
    throw new Error(`of ${spoken.size} steps, ${missed.length} were never heard: ${missed.join('; ')}`)
  return [...spoken].map(([text, at]) => (heardAt.get(text) ?? Number.NaN) - at)
}

/** The steps that these lines tell, each with the time when it was written first. */
function stepsIn(said: readonly { readonly line: string; readonly at: number }[]): ReadonlyMap<string, number> {
  const decoder = new StreamDecoder()
  const steps = new Map<string, number>()
  for (const { line, at } of said) {
    for (const { kind, text } of decoder.push(`${line}\n`)) {
      if (kind !== 'retry' && isStep(text) && !steps.has(shownStep(text))) steps.set(shownStep(text), at)
    }
  }
  return steps
}

/** CPU of control plane and database for this long, in percent of a core, and what was asked of the database. */
async function costOver({ child, dataDir }: Scene, forMs: number) {
  const figures = async (): Promise<Figures> => {
    const answer = messageOf(child, 'figures')
    child.send('figures')
    return answer
  }
  const share = (ms: number) => round((100 * ms) / forMs)
  const first = await figures()
  const databaseBefore = databaseCpuMs(dataDir)
  await pause(forMs)
  const last = await figures()
  const [controlMs, databaseMs] = [last.cpuMs - first.cpuMs, databaseCpuMs(dataDir) - databaseBefore]
  return {
    control: share(controlMs),
    database: share(databaseMs),
    both: share(controlMs + databaseMs),
    statementsPerSecond: round((1_000 * (last.statements - first.statements)) / forMs),
  }
}

/** While many launches go on as recorded, all at once, and nothing new is asked. */
async function following(scene: Scene) {
  const { sky } = scene
  sky.faults.stopBefore = 'placing'
  const before = sky.posted.length
  await Promise.all(Array.from({ length: inFlight }, () => launch(scene)))
  await until('all are posted', () => sky.posted.length >= before + inFlight)
  await pause(10_000)
  let told = 0
  sky.onLine = () => {
    told += 1
  }
  sky.work.pace = 1
  sky.faults.stopBefore = 'job'
  const cost = await costOver(scene, watchedMs)
  sky.onLine = null
  sky.work.pace = pace
  return {
    skyInFlight: inFlight,
    skyFollowingLinesPerSecond: round((1_000 * told) / watchedMs),
    skyFollowingControlCpuPercent: cost.control,
    skyFollowingDatabaseCpuPercent: cost.database,
    skyFollowingCpuPercent: cost.both,
    skyFollowingStatementsPerSecond: cost.statementsPerSecond,
  }
}

/**
 * The same launches once SkyPilot has succeeded and until an agent speaks: the queue and the log of each job are looked
 * at, and each job writes another line every second, as a set-up that is at work does.
 */
async function resting(scene: Scene) {
  const { sky } = scene
  sky.faults.jobState = 'SETTING_UP'
  sky.faults.stopBefore = null
  const launches = () => [...sky.requests.values()].filter(({ verb }) => verb === 'sky.launch')
  await until('all jobs are submitted', () => launches().every(({ status }) => status === 'SUCCEEDED'))
  await pause(settledMs)
  let looks = 0
  let line = 0
  sky.onCall = ({ url }) => {
    if (url.pathname === '/logs') looks += 1
  }
  const writing = setInterval(() => {
    line += 1
    sky.faults.jobLines = [`flightdeck: part ${line} of the agent is fetched`]
  }, 1_000)
  const cost = await costOver(scene, restedMs)
  clearInterval(writing)
  sky.onCall = null
  if (looks < inFlight) throw new Error(`only ${looks} logs were looked at`)
  return {
    skyResting: launches().length,
    skyRestingLooksPerSecond: round((1_000 * looks) / restedMs),
    skyRestingControlCpuPercent: cost.control,
    skyRestingDatabaseCpuPercent: cost.database,
    skyRestingCpuPercent: cost.both,
    skyRestingStatementsPerSecond: cost.statementsPerSecond,
  }
}

async function offersAreKnown({ client }: Scene): Promise<void> {
  for (let tries = 0; tries < 100; tries++, await pause(100)) {
    const planned = await client.createLaunch({ body: { model: 'sim-small', dryRun: true } }).catch(() => null)
    if (planned) return
  }
  throw new Error('the API server never offered anything')
}

const round = (value: number): number => Number(value.toFixed(1))
function median(values: readonly number[]): number {
  return round([...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN)
}

if (import.meta.main) console.log(JSON.stringify({ ...(await measureSkypilot()), targets: skyTargets }))
