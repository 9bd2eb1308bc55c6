import { failureRecord } from '../core/failure.ts'
import { humanMs } from '../core/human-time.ts'
import { formatUsd } from '../core/money.ts'
import type { Client } from '../wire/client.ts'
import type { LaunchView, NodeView } from '../wire/views.ts'
import { untilInterrupted } from './context.ts'
import { interrupted, servesModel, withLogs } from './demo.ts'
import {
  type ControlPlane,
  demoPriceUsd,
  machineMark,
  makeWorld,
  markedProcesses,
  until,
  type World,
} from './demo-world.ts'
import { asCliFailure, CliFailure, type ExitCode, exitCodes, failureJson, failureText, usage } from './exit.ts'
import { quietPause } from './live-feed.ts'
import { plainLine } from './plain-text.ts'
import { Load } from './rehearse-load.ts'
import { type Aftermath, aftermath, type Blow, type BlowKind, serving, strike, unroutable } from './rehearse-storm.ts'
import { table } from './table.ts'
import type { Look, Terminal } from './terminal.ts'

export interface StormFlags {
  readonly replicas: number
  readonly kills: number
  readonly notices: number
  /** The blows fall within so many seconds. */
  readonly for: number
}

export interface RehearsalLent {
  readonly terminal: Terminal
  readonly makeClient: (connection: { url: string; token: string }) => Promise<Client>
  readonly json: boolean
}

interface Rehearsal {
  readonly flags: StormFlags
  readonly world: World
  readonly plane: ControlPlane
  readonly client: Client
  readonly signal: AbortSignal
  readonly tell: Tell
}

type Tell = (event: string, facts: object, text: string) => void

export interface StormResult {
  readonly replicas: number
  readonly requests: number
  readonly failedRequests: number
  readonly brokenStreams: number
  readonly why: readonly string[]
  readonly blows: readonly Aftermath[]
  readonly costMicroUsd: number
  readonly allBack: boolean
}

const model = 'rehearsal'
// Each is an agent and an engine on this host, about 150 MB: a guess at what a laptop bears.
const mostReplicas = 16
const mostBlows = 32
const clients = { plain: 4, streams: 4 }
const servesLimitMs = 180_000
const backLimitMs = 300_000
const lookMs = 250

/** A fleet that has been up for long is past its grace, so a rehearsal does not wait a minute for it. */
function stormConfig({ replicas, kills, notices }: StormFlags): object {
  const simulation = { startupMs: 3_000, ttftMs: 100, tokensPerS: 40 }
  return {
    listen: { port: 0 },
    gateway: { port: 0 },
    graceS: 5,
    local: {
      pricePerHourUsd: demoPriceUsd,
      maxMachines: 2 * replicas + kills + notices,
      engines: { sim: { env: { FLIGHTDECK_SIM: JSON.stringify(simulation) } } },
    },
    models: [{ name: model, engine: 'sim', source: model, description: 'The model of the rehearsal, simulated.' }],
  }
}

function checked(flags: StormFlags): StormFlags {
  const { replicas, kills, notices } = flags
  if (replicas < 1 || replicas > mostReplicas)
    throw usage(`--replicas must be from 1 to ${mostReplicas}, not ${replicas}.`, 'Each is a simulated machine here.')
  if (kills + notices < 1 || kills + notices > mostBlows)
    throw usage(`--kills and --notices must be from 1 to ${mostBlows} together.`, 'Say how many machines are struck.')
  return flags
}

/** Faults on a simulated fleet of this host, with a control plane of its own, which ends with it. */
export async function rehearseStorm(given: StormFlags, lent: RehearsalLent): Promise<ExitCode> {
  const flags = checked(given)
  const { terminal, json } = lent
  const interrupt = untilInterrupted()
  const world = makeWorld(stormConfig(flags), interrupt.signal, 'rehearsal')
  const over = new AbortController()
  const signal = AbortSignal.any([interrupt.signal, world.died, over.signal])
  const tell: Tell = (event, facts, text) =>
    terminal.out(json ? `${JSON.stringify({ event, ...facts })}\n` : `${text}\n`)
  try {
    const result = await story({ flags, world, signal, tell }, lent)
    tell('result', result, resultText(result, terminal.look()))
    world.remove()
    return result.allBack ? exitCodes.ok : exitCodes.failed
  } catch (error) {
    const stopped = interrupt.signal.aborted
    const failure = stopped ? interrupted('rehearsal') : withLogs(asCliFailure(error, 'the rehearsal'), world)
    terminal.err(json ? failureJson(failure) : `\n${failureText(failure, terminal.look())}`)
    // Where it failed on the way, its data are its evidence.
    if (stopped) world.remove()
    return stopped ? failure.exitCode : exitCodes.failed
  } finally {
    // Whatever it failed at, its clients ask no further.
    over.abort()
    interrupt.done()
  }
}

async function story(
  about: Pick<Rehearsal, 'flags' | 'world' | 'signal' | 'tell'>,
  { makeClient }: RehearsalLent,
): Promise<StormResult> {
  const { world, tell, flags } = about
  let plane: ControlPlane | null = null
  try {
    const words = `A REHEARSAL: ${flags.replicas} simulated machines on this host, priced at $${demoPriceUsd}/h; nothing is rented.`
    tell(
      'starting',
      { folder: world.folder, ...flags },
      `${words}\nStarting a control plane of its own in ${world.folder}`,
    )
    plane = await world.start()
    const { url, gatewayUrl, install, adminToken } = plane
    tell('started', { url, gatewayUrl, install }, `  control ${url}, gateway ${gatewayUrl}, install ${install}`)
    const client = await makeClient({ url, token: adminToken })
    const result = await rehearsed({ ...about, plane, client })
    const running = markedProcesses([machineMark(install)])
    if (running.length > 0)
      throw new CliFailure(
        failureRecord('internal', `Processes of machines still run after their end: ${running.join(', ')}.`),
        exitCodes.failed,
      )
    return result
  } finally {
    const forced = await world.stop(plane?.install ?? null)
    const left = forced.length === 0 ? 'nothing is left running' : `had to be ended one by one: ${forced.join(', ')}`
    tell('stopped', { forced }, `Control plane, gateway and database are stopped; ${left}.`)
  }
}

async function rehearsed(here: Rehearsal): Promise<StormResult> {
  const { client, flags, signal, plane, tell } = here
  const { replicas } = flags
  const deployment = await client.createDeployment({ body: { name: model, model, wanted: replicas } })
  await until(`${replicas} replicas serving`, servesLimitMs, signal, async () =>
    serving(await nodesOf(client)).length === replicas ? true : null,
  )
  const { key } = await client.createKey({ body: { name: model, models: null } })
  await until('The gateway learning of key and model', 30_000, signal, () =>
    servesModel(`${plane.gatewayUrl}/v1`, key, model),
  )
  const load = new Load({ url: plane.gatewayUrl, key, model }, clients, signal)
  await until('The first answers', 30_000, signal, async () => (load.done > 0 ? true : null))
  tell(
    'calm',
    { replicas },
    `${replicas} replicas serve ${clients.plain + clients.streams} clients. Here comes the storm.`,
  )
  const storm = new Storm(here, await launchesOf(client))
  const from = performance.now()
  await storm.blow()
  const allBack = await storm.settled()
  await load.stop()
  const { requests, failed: failedRequests, broken: brokenStreams, why } = load.since(from)
  const blows = await storm.aftermath()
  await client.scaleDeployment({ params: { id: deployment.id }, body: { wanted: 0 } })
  await until('The end of all machines', 60_000, signal, async () =>
    (await nodesOf(client)).every(({ state }) => state === 'gone') ? true : null,
  )
  const { totalMicroUsd: costMicroUsd } = await client.spend({})
  return { replicas, requests, failedRequests, brokenStreams, why, blows, costMicroUsd, allBack }
}

const nodesOf = async (client: Client): Promise<NodeView[]> => (await client.listNodes({ query: { all: true } })).items
const launchesOf = async (client: Client): Promise<LaunchView[]> => (await client.listLaunches({ query: {} })).items

/** The blows, and what is seen of the fleet while they fall. */
class Storm {
  readonly #here: Rehearsal
  readonly #before: ReadonlySet<string>
  readonly #from = performance.now()
  readonly #blows: Blow[] = []
  readonly #unroutableAt = new Map<string, number>()
  readonly #watches: Promise<void>[] = []
  readonly #seen = new Map<string, string>()
  #launches: LaunchView[] = []

  constructor(here: Rehearsal, before: readonly LaunchView[]) {
    this.#here = here
    this.#before = new Set(before.map(({ id }) => id))
  }

  /** One after the other, within the time that was given for them. */
  async blow(): Promise<void> {
    const { flags, signal } = this.#here
    const kinds = alternating(flags)
    const gapMs = (flags.for * 1_000) / kinds.length
    for (const [i, kind] of kinds.entries()) {
      const node = await until('A replica that serves and was not struck yet', backLimitMs, signal, () =>
        this.#target(),
      )
      this.#strike(kind, node)
      const next = this.#from + (i + 1) * gapMs
      while (performance.now() < next && !signal.aborted) await this.#look()
    }
  }

  /** True once as many serve as are wanted and all that was struck is gone. */
  async settled(): Promise<boolean> {
    const { flags, signal } = this.#here
    for (const end = performance.now() + backLimitMs; performance.now() < end; ) {
      signal.throwIfAborted()
      const nodes = await this.#look()
      const struck = nodes.filter(({ id }) => this.#isStruck(id))
      if (serving(nodes).length === flags.replicas && struck.every(({ state }) => state === 'gone')) {
        await Promise.all(this.#watches)
        return true
      }
    }
    return false
  }

  aftermath(): Promise<Aftermath[]> {
    return aftermath(this.#here.client, this.#blows, this.#unroutableAt, this.#launches)
  }

  #isStruck(id: string): boolean {
    return this.#blows.some(({ nodeId }) => nodeId === id)
  }

  async #target(): Promise<NodeView | null> {
    const fit = serving(await this.#look()).filter(({ id }) => !this.#isStruck(id))
    return fit[0] ?? null
  }

  #strike(kind: BlowKind, node: NodeView): void {
    const blow = strike(kind, node)
    this.#blows.push(blow)
    const what = kind === 'notice' ? 'is told that it is taken (SIGTERM)' : 'loses its power (SIGKILL)'
    this.#tell('struck', { kind, node: node.name }, `${node.name} ${what}`)
    const { plane, signal } = this.#here
    const watch = unroutable(plane.gatewayUrl, node.name, backLimitMs, signal).then((at) => {
      this.#unroutableAt.set(node.id, at)
      const ms = Math.max(0, Math.round(at - blow.from))
      this.#tell('unroutable', { node: node.name, ms }, `${node.name} gets no requests, since ${ms} ms after that`)
    })
    // What it could not see is a gap in the table; a rehearsal that was interrupted tells so itself.
    this.#watches.push(watch.catch(() => undefined))
  }

  /** Tells what changed since the last look, and waits a moment. */
  async #look(): Promise<NodeView[]> {
    const { client, signal } = this.#here
    const nodes = await nodesOf(client)
    this.#launches = (await launchesOf(client)).filter(({ id }) => !this.#before.has(id))
    for (const { id } of this.#launches)
      if (this.#isNew(id, '')) this.#tell('asked', { launch: id }, `${id}: another machine is asked for`)
    for (const { id, name, state, verdict } of nodes)
      if (this.#isNew(id, `${state} ${verdict}`))
        this.#tell('node', { node: name, state, verdict }, `${name} is ${state} (${verdict})`)
    await quietPause(lookMs, signal)
    return nodes
  }

  #isNew(id: string, words: string): boolean {
    const before = this.#seen.get(id)
    this.#seen.set(id, words)
    return before !== words
  }

  #tell(event: string, facts: object, text: string): void {
    const afterMs = Math.round(performance.now() - this.#from)
    this.#here.tell(event, { afterMs, ...facts }, `  +${(afterMs / 1_000).toFixed(1).padStart(5)}s  ${text}`)
  }
}

/** Notices and kills by turns, so that neither waits for all of the other. */
function alternating({ notices, kills }: StormFlags): BlowKind[] {
  const turns = Array.from({ length: Math.max(notices, kills) }, (_, i): BlowKind[] => [
    ...(i < notices ? (['notice'] as const) : []),
    ...(i < kills ? (['kill'] as const) : []),
  ])
  return turns.flat()
}

const ms = (value: number | null): string =>
  value === null ? 'not seen' : value < 1_000 ? `${value}ms` : humanMs(value)

// Enough of an answer to know it by.
const whyLength = 160

/** The table at the end; all times count from the blow. */
export function resultText(result: StormResult, look: Look): string {
  const { replicas, requests, failedRequests, brokenStreams, why, blows, costMicroUsd, allBack } = result
  const rows = table<Aftermath>(
    [
      { title: 'STRUCK', cell: ({ node }) => node },
      { title: 'BY', cell: ({ kind }) => (kind === 'notice' ? 'notice (SIGTERM)' : 'kill (SIGKILL)') },
      { title: 'NO REQUESTS AFTER', cell: ({ unroutableMs }) => ms(unroutableMs), right: true },
      { title: 'ANOTHER ASKED FOR', cell: ({ replacementAskedMs }) => ms(replacementAskedMs), right: true },
      { title: 'IT SERVED', cell: ({ servesAgainMs }) => ms(servesAgainMs), right: true },
    ],
    blows,
    look,
  )
  const back = allBack
    ? `All ${replicas} replicas are back`
    : `NOT all ${replicas} replicas came back within ${humanMs(backLimitMs)}`
  return [
    `\n${rows.trimEnd()}`,
    `${requests} requests: ${failedRequests} failed, ${brokenStreams} streams broke.`,
    ...why.map((one) => `  lost: ${plainLine(one).slice(0, whyLength)}`),
    `${back}. At $${demoPriceUsd} an hour for each machine it would have cost ${formatUsd(costMicroUsd)}.`,
  ].join('\n')
}
