// From a change to the follower who is told of it over the WebSocket: real processes, and the clock of this host for both.
import { setTimeout as pause } from 'node:timers/promises'
import { type ControlPlane, makeWorld } from '../src/cli/demo-world.ts'
import { openFeed } from '../src/cli/live-feed.ts'
import { type Client, makeClient } from '../src/wire/client.ts'
import type { LiveMessage, LiveRequest } from '../src/wire/live.ts'

const rounds = 8
const lines = 200
const everyMs = 20
const giveUpMs = 60_000
const startupMs = 2_000
const prints = 'while :; do date +%s%3N; sleep 0.05; done'
const config = {
  listen: { port: 0 },
  gateway: { port: 0 },
  local: {
    maxMachines: rounds + 2,
    engines: {
      sim: { env: { FLIGHTDECK_SIM: JSON.stringify({ startupMs }) } },
      // An engine that never answers and prints the time.
      sglang: { command: ['/bin/sh', '-c', prints] },
    },
  },
  models: [
    { name: 'told', engine: 'sim', source: 'told' },
    { name: 'ticking', engine: 'sglang', source: 'ticking' },
  ],
}

type Topic = 'launch' | 'fleet' | 'log'

/** How long after it happened each change was told, by topic. */
class Told {
  readonly delays: Record<Topic, number[]> = { launch: [], fleet: [], log: [] }
  readonly #known = new Set<string>()

  async has(what: string): Promise<void> {
    for (const end = Date.now() + giveUpMs; !this.#known.has(what); await pause(everyMs))
      if (Date.now() > end) throw new Error(`never told: ${what}`)
  }

  /** What happened before the follower was there is no news to it. */
  hear(message: LiveMessage, followedAt: number): void {
    const now = Date.now()
    const news = (topic: Topic, what: string, at: string | number) => {
      const happenedAt = Number(new Date(at))
      if (this.#known.has(what)) return
      this.#known.add(what)
      if (happenedAt >= followedAt) this.delays[topic].push(now - happenedAt)
    }
    if (message.topic === 'launch') {
      const { id, state, stateSince, phases } = message.launch
      news('launch', `${id} ${state}`, stateSince)
      for (const { phase, startedAt } of phases) news('launch', `${id} ${phase}`, startedAt)
    }
    if (message.topic === 'fleet')
      for (const { id, state, stateSince } of [...message.nodes, ...message.changes])
        if (state && stateSince) news('fleet', `${id} ${state}`, stateSince)
    if (message.topic === 'log')
      for (const { n, text } of message.lines) if (/^\d{13}$/.test(text)) news('log', `line ${n}`, Number(text))
  }
}

/** Real launches one after the other, each followed from its beginning to its end; then the lines of an engine. */
export async function measureLive() {
  const world = makeWorld(config, AbortSignal.timeout(600_000))
  let install: string | null = null
  try {
    const plane = await world.start()
    install = plane.install
    const client = makeClient({ url: plane.url, token: plane.adminToken })
    const told = new Told()
    const fleet = follow(plane, told, { do: 'follow', topic: 'fleet' })
    for (let round = 0; round < rounds; round++) await followLaunch(plane, client, told)
    await followLines(plane, client, told)
    fleet.abort()
    return Object.fromEntries(Object.entries(told.delays).flatMap(([topic, delays]) => figuresOf(topic, delays)))
  } finally {
    await world.stop(install)
    world.remove()
  }
}

function figuresOf(topic: string, delays: number[]): [string, number][] {
  if (delays.length < rounds) throw new Error(`hardly anything was told of the topic ${topic}`)
  const sorted = delays.sort((a, b) => a - b)
  const of = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  const name = `live${topic.charAt(0).toUpperCase()}${topic.slice(1)}`
  return [
    [`${name}P50Ms`, of(0.5)],
    [`${name}P99Ms`, of(0.99)],
    [`${name}MaxMs`, of(1)],
  ]
}

type Follow = Extract<LiveRequest, { do: 'follow' }>

/** Until aborted. */
function follow({ url, adminToken: token }: ControlPlane, told: Told, request: Follow): AbortController {
  const ended = new AbortController()
  const feed = openFeed({ url, token, signal: ended.signal })
  feed.follow(request)
  const listen = async () => {
    let followedAt = Number.POSITIVE_INFINITY
    for await (const event of feed.events) {
      if (event.kind !== 'message') continue
      told.hear(event.message, followedAt)
      // The first message of a topic is how it was before.
      if (event.message.topic === request.topic) followedAt = Math.min(followedAt, Date.now())
    }
  }
  void listen()
  return ended
}

async function launched(client: Client, model: string): Promise<string> {
  const launch = await client.createLaunch({ body: { model } })
  if ('dryRun' in launch) throw new Error('nothing was launched')
  return launch.id
}

async function followLaunch(plane: ControlPlane, client: Client, told: Told): Promise<void> {
  const id = await launched(client, 'told')
  const following = follow(plane, told, { do: 'follow', topic: 'launch', id })
  await told.has(`${id} live`)
  const { nodeId } = await client.showLaunch({ params: { id } })
  await client.releaseNode({ params: { id: nodeId ?? '' } })
  await told.has(`${nodeId} gone`)
  await told.has(`${id} ended`)
  following.abort()
}

async function followLines(plane: ControlPlane, client: Client, told: Told): Promise<void> {
  const id = await launched(client, 'ticking')
  const launch = follow(plane, told, { do: 'follow', topic: 'launch', id })
  await told.has(`${id} engine_start`)
  launch.abort()
  const { nodeId } = await client.showLaunch({ params: { id } })
  const log = follow(plane, told, { do: 'follow', topic: 'log', id: nodeId ?? '' })
  for (const end = Date.now() + giveUpMs; told.delays.log.length < lines; await pause(everyMs))
    if (Date.now() > end) throw new Error('the lines of the engine are not told')
  log.abort()
  await client.cancelLaunch({ params: { id } })
  await told.has(`${nodeId} gone`)
}

if (import.meta.main) console.log(JSON.stringify(await measureLive()))
