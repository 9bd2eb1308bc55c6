import { join } from 'node:path'
import { failureRecord } from '../core/failure.ts'
import { humanMs } from '../core/human-time.ts'
import { formatUsd } from '../core/money.ts'
import type { Client } from '../wire/client.ts'
import { projectRoot } from './connection.ts'
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
import { plainLine } from './plain-text.ts'
import { type RehearsalCloud, startRehearsalCloud } from './rehearse-cloud.ts'
import { type FaultName, faults, leastForHalf } from './rehearse-faults.ts'
import { Load } from './rehearse-load.ts'
import { type Aftermath, backLimitMs, nodesOf, Storm, type Tell, untilServing } from './rehearse-storm.ts'
import { table } from './table.ts'
import type { Look, Terminal } from './terminal.ts'

export interface StormFlags {
  readonly replicas?: number
  readonly faults: readonly FaultName[]
  readonly dryRun?: boolean
}

export interface RehearsalLent {
  readonly terminal: Terminal
  readonly makeClient: (connection: { url: string; token: string }) => Promise<Client>
  readonly json: boolean
}

interface Rehearsal {
  readonly flags: Required<StormFlags>
  readonly world: World
  /** Null: the machines are this host's. */
  readonly cloud: RehearsalCloud | null
  readonly plane: ControlPlane
  readonly client: Client
  readonly signal: AbortSignal
  readonly tell: Tell
}

export interface StormResult {
  readonly replicas: number
  readonly requests: number
  readonly failedRequests: number
  readonly brokenStreams: number
  readonly why: readonly string[]
  readonly faults: readonly Aftermath[]
  readonly costMicroUsd: number
  /** The machines were those of a simulated cloud, at its prices. */
  readonly rented: boolean
  readonly allBack: boolean
}

const model = 'rehearsal'
const usualReplicas = 4
// Each is an agent and an engine on this host, about 150 MB: a guess at what a laptop bears.
const mostReplicas = 16
const mostFaults = 32
const clients = { plain: 4, streams: 4 }
const servesLimitMs = 180_000
// A start takes so long on two cores, and the end of everything.
const aroundS = 40

const engineSim = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  join(projectRoot, 'src/main/engine-sim.ts'),
]
const rentedWish = { clouds: ['aws'], gpus: ['H100'], gpuCount: 1, spot: 'only' as const }
const mostMachines = ({ replicas, faults }: Required<StormFlags>): number => 2 * replicas + faults.length
const isRented = (name: FaultName): boolean => 'rented' in faults[name]

/** A fleet that has been up for long is past its grace, and nobody watches for two minutes how a hung request is waited for. */
function stormConfig(flags: Required<StormFlags>, cloud: RehearsalCloud | null): object {
  const env = { FLIGHTDECK_SIM: JSON.stringify({ startupMs: 3_000, ttftMs: 100, tokensPerS: 40 }) }
  const engine = cloud ? 'vllm' : 'sim'
  const aws = { nodeBin: process.execPath, onThisHost: true, recipe: 'none' }
  return {
    listen: { port: 0 },
    gateway: { port: 0 },
    graceS: 5,
    local: {
      pricePerHourUsd: demoPriceUsd,
      drainLimitS: 15,
      maxMachines: mostMachines(flags),
      engines: { sim: { env }, vllm: { command: engineSim, env } },
    },
    models: [{ name: model, engine, source: model, description: 'The model of the rehearsal, simulated.' }],
    ...(cloud && { skypilot: { url: cloud.url, launchesAtOnce: flags.replicas, clouds: { aws } } }),
  }
}

function checked({ replicas: asked, faults: chosen, dryRun = false }: StormFlags): Required<StormFlags> {
  const least = chosen.includes('half') ? leastForHalf : 1
  const replicas = asked ?? Math.max(usualReplicas, least)
  if (replicas < 1 || replicas > mostReplicas)
    throw usage(`--replicas must be from 1 to ${mostReplicas}, not ${replicas}.`, 'Each is a simulated machine here.')
  if (replicas < least)
    throw usage(
      `The fault "half" takes at least ${least} replicas, not ${replicas}.`,
      'Leave --replicas out, or raise it.',
    )
  if (chosen.length > mostFaults)
    throw usage(`--faults names ${chosen.length} faults, and ${mostFaults} are the most.`, 'Say fewer of them.')
  return { replicas, faults: chosen, dryRun }
}

/** What would be done, for who asks first. */
function planText({ replicas, faults: chosen }: Required<StormFlags>): string {
  const minutes = Math.ceil((aroundS + chosen.reduce((sum, name) => sum + faults[name].takesS, 0)) / 60)
  const lines = chosen.map((name, i) => {
    const struck = faults[name].strikes(replicas)
    return `${i + 1}. ${name}, on ${struck} of ${replicas} machines. ${faults[name].does}`
  })
  const words = `A control plane of its own would be started in a fresh folder, with ${replicas} simulated machines and ${clients.plain + clients.streams} clients; nothing is rented.`
  return `${words} About ${minutes} min:\n${lines.join('\n')}`
}

/** Faults on a simulated fleet of this host, with a control plane of its own, which ends with it. */
export async function rehearseStorm(given: StormFlags, lent: RehearsalLent): Promise<ExitCode> {
  const flags = checked(given)
  const { terminal, json } = lent
  const tell: Tell = (event, facts, text) =>
    terminal.out(json ? `${JSON.stringify({ event, ...facts })}\n` : `${text}\n`)
  if (flags.dryRun) {
    const does = flags.faults.map((fault) => ({ fault, does: faults[fault].does, takesS: faults[fault].takesS }))
    tell('plan', { replicas: flags.replicas, faults: does }, planText(flags))
    return exitCodes.ok
  }
  const interrupt = untilInterrupted()
  const cloud = flags.faults.some(isRented) ? await startRehearsalCloud(mostMachines(flags)) : null
  const world = makeWorld(stormConfig(flags, cloud), interrupt.signal, 'rehearsal')
  const over = new AbortController()
  const signal = AbortSignal.any([interrupt.signal, world.died, over.signal])
  try {
    const result = await story({ flags, world, cloud, signal, tell }, lent)
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
    await cloud?.end()
    interrupt.done()
  }
}

async function story(
  about: Pick<Rehearsal, 'flags' | 'world' | 'cloud' | 'signal' | 'tell'>,
  { makeClient }: RehearsalLent,
): Promise<StormResult> {
  const { world, tell, flags } = about
  let plane: ControlPlane | null = null
  try {
    const words = `A REHEARSAL: ${flags.replicas} simulated machines on this host, ${about.cloud ? 'of a simulated cloud and at its prices' : `priced at $${demoPriceUsd}/h`}; nothing is rented.`
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
  const deployment = await client.createDeployment({
    body: { name: model, model, wanted: replicas, ...(here.cloud && { wish: rentedWish }) },
  })
  await untilServing(client, replicas, servesLimitMs, signal)
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
  const from = performance.now()
  const befell: Aftermath[] = []
  for (const name of flags.faults) {
    tell('fault', { fault: name, does: faults[name].does }, `${name}: ${faults[name].does}`)
    const { cloud, world } = here
    const scene = { client, gatewayUrl: plane.gatewayUrl, replicas, load, cloud, world, signal, tell }
    befell.push(await new Storm(scene, name).blow())
    if (befell.at(-1)?.servesAgainMs === null) break
  }
  // Whatever still waits for a machine that is lost is answered or breaks with its end.
  const stopped = load.stop()
  await client.scaleDeployment({ params: { id: deployment.id }, body: { wanted: 0 } })
  await stopped
  await until('The end of all machines', 60_000, signal, async () =>
    (await nodesOf(client)).every(({ state }) => state === 'gone') ? true : null,
  )
  const { totalMicroUsd: costMicroUsd } = await client.spend({})
  const { requests, failed: failedRequests, broken: brokenStreams, why } = load.since(from)
  const allBack = befell.length === flags.faults.length && befell.every(({ servesAgainMs }) => servesAgainMs !== null)
  return {
    replicas,
    requests,
    failedRequests,
    brokenStreams,
    why,
    faults: befell,
    costMicroUsd,
    rented: here.cloud !== null,
    allBack,
  }
}

const ms = (value: number | null): string =>
  value === null ? 'not seen' : value < 1_000 ? `${value}ms` : humanMs(value)

// Enough of an answer to know it by.
const whyLength = 160

/** The table at the end; all times count from the blow. */
export function resultText(result: StormResult, look: Look): string {
  const { replicas, faults: befell, why } = result
  const rows = table<Aftermath>(
    [
      { title: 'FAULT', cell: ({ fault }) => fault },
      { title: 'NODES', cell: ({ nodes }) => String(nodes.length), right: true },
      {
        title: 'NO REQUESTS AFTER',
        cell: (of) => (takesNone(of) ? '-' : ms(of.unroutableMs)),
        right: true,
      },
      { title: 'ANOTHER ASKED FOR', cell: askedText, right: true },
      { title: 'ALL SERVE AGAIN', cell: ({ servesAgainMs }) => ms(servesAgainMs), right: true },
      { title: 'RELEASED', cell: ({ released }) => String(released), right: true },
      { title: 'LOST', cell: (of) => `${of.failedRequests + of.brokenStreams} of ${of.requests}`, right: true },
      { title: 'COST', cell: (of) => formatUsd(of.costMicroUsd), right: true },
    ],
    befell,
    look,
  )
  const held = befell.flatMap(({ fault, guard }) => (guard === null ? [] : [`  ${fault}: the guard held. ${guard}`]))
  const prices = result.rented ? 'At the prices of its cloud' : `At $${demoPriceUsd} an hour for each machine`
  const back = result.allBack
    ? `All ${replicas} replicas are back`
    : `NOT all ${replicas} replicas came back within ${humanMs(backLimitMs)}`
  return [
    `\n${rows.trimEnd()}`,
    ...held.map(plainLine),
    `${result.requests} requests: ${result.failedRequests} failed, ${result.brokenStreams} streams broke.`,
    ...why.map((one) => `  lost: ${plainLine(one).slice(0, whyLength)}`),
    `${back}. ${prices} it would have cost ${formatUsd(result.costMicroUsd)}.`,
  ].join('\n')
}

/** It takes requests from no machine. */
const takesNone = ({ fault, nodes }: Aftermath): boolean => nodes.length === 0 || 'keeps' in faults[fault]

const askedText = (of: Aftermath): string => {
  const { replacementAskedMs, replacementsAsked } = of
  if (takesNone(of) && replacementsAsked === 0) return '-'
  return replacementsAsked > 1 ? `${ms(replacementAskedMs)} (${replacementsAsked})` : ms(replacementAskedMs)
}
