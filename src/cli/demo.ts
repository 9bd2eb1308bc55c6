import { parseArgs } from 'node:util'
import { failureRecord } from '../core/failure.ts'
import { humanMs } from '../core/human-time.ts'
import type { Client } from '../wire/client.ts'
import type { LaunchDetail, NodeDetail } from '../wire/views.ts'
import { type Context, untilInterrupted } from './context.ts'
import { billText, type Chat, chatText, saidText, tokensPerSecond } from './demo-text.ts'
import {
  type ControlPlane,
  type DemoEngine,
  demoConfig,
  demoPriceUsd,
  installVllm,
  machineMark,
  makeWorld,
  markedProcesses,
  until,
  type World,
} from './demo-world.ts'
import { asCliFailure, CliFailure, type ExitCode, exitCodes, failureJson, failureText, usage } from './exit.ts'
import { watchLaunch } from './follow-launch.ts'
import { plainLine } from './plain-text.ts'
import type { Terminal } from './terminal.ts'

export interface ChatRequest {
  readonly baseUrl: string
  readonly apiKey: string
  readonly model: string
  readonly question: string
  readonly stream: boolean
  readonly onText: (text: string) => void
  readonly signal: AbortSignal
}

export interface DemoLent {
  readonly terminal: Terminal
  readonly makeClient: (connection: { url: string; token: string }) => Client
  /** One completion through the gateway, with the client that everybody uses. */
  readonly chat: (request: ChatRequest) => Promise<Chat>
}

interface DemoFlags {
  readonly engine: DemoEngine
  readonly keepData: boolean
  readonly json: boolean
}

interface Demo {
  readonly lent: DemoLent
  readonly flags: DemoFlags
  readonly model: string
  readonly world: World
  readonly signal: AbortSignal
  /** Tells a step: a line for people, an event for scripts. */
  readonly tell: (event: string, facts: object, text: string) => void
}

export function demoFlags(argv: readonly string[]): DemoFlags {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      engine: { type: 'string', default: 'sim' },
      'keep-data': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const { engine, 'keep-data': keepData, json } = values
  if (engine === 'sim' || engine === 'vllm') return { engine, keepData, json }
  throw usage(`There is no engine "${engine}" in the demo.`, 'Say --engine sim or --engine vllm.')
}

/** The whole story on this machine: start, launch, serve, pay, release, and leave nothing behind. */
export async function runDemo(argv: readonly string[], lent: DemoLent): Promise<ExitCode> {
  const { terminal } = lent
  const json = argv.includes('--json')
  const interrupt = untilInterrupted()
  let world: World | null = null
  try {
    const flags = flagsOrUsage(argv)
    const { model, config } = demoConfig(flags.engine)
    world = makeWorld(config, interrupt.signal)
    const tell: Demo['tell'] = (event, facts, text) =>
      terminal.out(json ? `${JSON.stringify({ event, ...facts })}\n` : `${text}\n`)
    const signal = AbortSignal.any([interrupt.signal, world.died])
    const demo: Demo = { lent, flags, model, world, signal, tell }
    await story(demo)
    if (flags.keepData) tell('kept', { folder: world.folder }, `The data are kept in ${world.folder}.`)
    else world.remove()
    return exitCodes.ok
  } catch (error) {
    const failure = interrupt.signal.aborted ? interrupted('demo') : withLogs(asCliFailure(error, 'the demo'), world)
    terminal.err(json ? failureJson(failure) : `\n${failureText(failure, terminal.look())}`)
    // Where it failed on the way, its data are its evidence.
    if (interrupt.signal.aborted) world?.remove()
    return failure.exitCode === exitCodes.usage || interrupt.signal.aborted ? failure.exitCode : exitCodes.failed
  } finally {
    interrupt.done()
  }
}

function flagsOrUsage(argv: readonly string[]): DemoFlags {
  try {
    return demoFlags(argv)
  } catch (error) {
    if (error instanceof CliFailure) throw error
    const cause = error instanceof Error ? error.message : String(error)
    throw usage(cause, 'Known are --engine sim|vllm, --keep-data and --json.')
  }
}

export const interrupted = (what: string): CliFailure =>
  new CliFailure(
    failureRecord('cancelled', `The ${what} was interrupted; everything it had started is ended.`, {
      remedy: 'Run it again when wanted.',
    }),
    exitCodes.interrupted,
  )

export function withLogs(failure: CliFailure, world: World | null): CliFailure {
  if (!world || failure.exitCode === exitCodes.usage) return failure
  const remedy = `${failure.record.remedy} The logs are in ${world.folder} (control.log, and data/local/machines).`
  return new CliFailure({ ...failure.record, remedy }, failure.exitCode, failure.requestId)
}

async function story(demo: Demo): Promise<void> {
  const { flags, world, tell, signal } = demo
  tell('engine', { engine: flags.engine }, engineWords(flags.engine))
  if (flags.engine === 'vllm') await installVllm((line) => tell('install', { line }, `  ${plainLine(line)}`), signal)
  const from = performance.now()
  let plane: ControlPlane | null = null
  try {
    tell('starting', { folder: world.folder }, `\n1. Starting a control plane of its own in ${world.folder}`)
    plane = await world.start()
    const { url, gatewayUrl, install } = plane
    const took = humanMs(performance.now() - from)
    tell(
      'started',
      { url, gatewayUrl, install },
      `  control ${url}, gateway ${gatewayUrl}, install ${install}, up in ${took}`,
    )
    await launchServeRelease(demo, plane)
  } finally {
    await endAll(demo, plane)
  }
}

function engineWords(engine: DemoEngine): string {
  if (engine === 'vllm')
    return 'The engine is a real vLLM on the CPU; the model is tiny and random, so its answers are nonsense.'
  return 'The engine is SIMULATED: no GPU, no weights, and answers without a meaning. Everything around it is real.'
}

async function launchServeRelease(demo: Demo, plane: ControlPlane): Promise<void> {
  const { lent, tell, model, signal } = demo
  const connection = { url: plane.url, token: plane.adminToken }
  const client = lent.makeClient(connection)
  const context: Context = { connection, client, terminal: lent.terminal, json: demo.flags.json }
  tell('launch', { model }, `\n2. Launching ${model} on this machine, priced as $${demoPriceUsd}/h for the demo`)
  const launch = await launched(context, model, signal)
  const attempt = launch.attempts.at(-1)
  if (!attempt) throw new Error('the launch serves without an attempt')
  tell('live', { launchId: launch.id, node: attempt.nodeName }, `  ${attempt.nodeName} serves ${model}`)

  await converse(demo, plane, client)

  tell('release', { node: attempt.nodeName }, '\n4. Giving the node back')
  const params = { id: attempt.nodeId }
  await usageSeen(client, signal)
  await client.releaseNode({ params })
  const gone = await until('The end of the node', 60_000, signal, async () => {
    const node = await client.showNode({ params })
    return node.state === 'gone' ? node : null
  })
  tell('gone', { node: gone.name }, `  ${gone.name} is gone: the cloud says so, and the bill is closed`)
  await tellBill(demo, client, gone)
  proveNothingRuns(demo, plane.install)
}

async function launched(context: Context, model: string, signal: AbortSignal): Promise<LaunchDetail> {
  const reply = await context.client.createLaunch({ body: { model } })
  if ('dryRun' in reply) throw new Error('a launch was answered with a plan')
  const launch = await watchLaunch(context, reply, signal)
  signal.throwIfAborted()
  if (launch.state === 'live') return launch
  const failure = launch.failure ?? failureRecord('internal', `The launch is ${launch.state}, without a cause.`)
  throw new CliFailure(failure, exitCodes.failed)
}

async function converse(demo: Demo, { gatewayUrl }: ControlPlane, client: Client): Promise<void> {
  const { lent, tell, model, signal } = demo
  const baseUrl = `${gatewayUrl}/v1`
  const { key, name } = await client.createKey({ body: { name: 'demo', models: null } })
  tell(
    'key',
    { name, baseUrl },
    `\n3. Asking through the gateway with the ordinary "openai" client, base URL ${baseUrl}`,
  )
  await until('The gateway learning of key and model', 30_000, signal, () => servesModel(baseUrl, key, model))
  const request = { baseUrl, apiKey: key, model, signal }
  const whole = await lent.chat({ ...request, question: 'What is a node?', stream: false, onText: () => undefined })
  tell('chat', { stream: false, ...whole, tokensPerSecond: tokensPerSecond(whole) }, '  plain:')
  if (!demo.flags.json) lent.terminal.out(saidText(whole.text) + chatText(whole))
  if (!demo.flags.json) lent.terminal.out('  streamed:\n  "')
  const onText = (text: string) => (demo.flags.json ? undefined : lent.terminal.out(plainLine(text)))
  const streamed = await lent.chat({ ...request, question: 'And what is a lease?', stream: true, onText })
  if (demo.flags.json) tell('chat', { stream: true, ...streamed, tokensPerSecond: tokensPerSecond(streamed) }, '')
  else lent.terminal.out(`"\n${chatText(streamed)}`)
}

/** Keys and nodes reach the gateway a moment after they are made. */
export async function servesModel(baseUrl: string, key: string, model: string): Promise<true | null> {
  // A gateway that does not listen yet is one that does not know yet.
  const answer = await fetch(`${baseUrl}/models`, { headers: { authorization: `Bearer ${key}` } }).catch(() => null)
  const listed = answer?.ok ? ((await answer.json()) as { data: { id: string }[] }) : { data: [] }
  return listed.data.some(({ id }) => id === model) ? true : null
}

/** The gateway reports in batches; without its last one the tokens would cost nothing. */
function usageSeen(client: Client, signal: AbortSignal): Promise<true> {
  return until('The report of the tokens', 60_000, signal, async () => {
    const { completionTokens } = await client.spend({})
    return completionTokens > 0 ? true : null
  })
}

async function tellBill({ lent, tell, flags }: Demo, client: Client, node: NodeDetail): Promise<void> {
  const spend = await client.spend({})
  const facts = { ledger: node.ledger, costMicroUsd: node.costMicroUsd, spend }
  tell('bill', facts, '\n5. What it cost')
  if (!flags.json) lent.terminal.out(billText(node, spend, lent.terminal.look()))
}

/** The claim that nothing is left running is not believed but looked up. */
function proveNothingRuns({ tell }: Demo, install: string): void {
  const running = markedProcesses([machineMark(install)])
  if (running.length > 0) {
    const cause = `Processes of machines still run after their end: ${running.join(', ')}.`
    throw new CliFailure(failureRecord('internal', cause), exitCodes.failed)
  }
  tell('clean', { running }, `\n6. Looked through /proc: no process of a machine of the install ${install} is left`)
}

async function endAll({ tell, world }: Demo, plane: ControlPlane | null): Promise<void> {
  const forced = await world.stop(plane?.install ?? null)
  const text = forced.length === 0 ? 'nothing is left running' : `had to be ended one by one: ${forced.join(', ')}`
  tell('stopped', { forced }, `  control plane, gateway and database are stopped; ${text}`)
}
