import { randomUUID } from 'node:crypto'
import { type Command, Option } from 'commander'
import { readArgument } from '../core/engine-presets.ts'
import { isOver } from '../core/launch-table.ts'
import { microUsdOf } from '../core/money.ts'
import { spotRules } from '../core/offer.ts'
import type { PlanView } from '../wire/plan.ts'
import type { LaunchRequest } from '../wire/routes.ts'
import type { LaunchDetail, LaunchView } from '../wire/views.ts'
import { type Act, answer, type Context } from './context.ts'
import { type ExitCode, exitCodeOf, exitCodes, usage } from './exit.ts'
import { isWholeId, pickOne } from './find.ts'
import { followLaunch } from './follow-launch.ts'
import { launchesText, launchText, transcriptText } from './launch-text.ts'
import { numberFor, timeFor, wholeFor } from './option-values.ts'
import { addPageOptions, allOf, answerPage, type PageOptions } from './pages.ts'
import { plainLine } from './plain-text.ts'
import { planText } from './plan-text.ts'
import { waitUntil } from './wait.ts'

type Wish = LaunchRequest['wish']

interface WishOptions {
  readonly cloud?: string[]
  readonly region?: string[]
  readonly gpu?: string[]
  readonly gpus?: number
  readonly spot?: Wish['spot']
  readonly maxPrice?: number
  readonly arg?: string[]
  readonly source?: string
  readonly engine?: 'vllm' | 'sglang'
}

/** What launches and deployments may be asked with alike. */
export interface AskOptions extends WishOptions {
  readonly timeLimit?: number
  readonly concurrency?: number
  readonly idempotencyKey?: string
}

interface LaunchOptions extends AskOptions {
  readonly deployment?: string
  readonly dryRun?: boolean
  readonly detach?: boolean
}

const gather = (value: string, before: string[] = []): string[] => [...before, value]

/** What a launch or a deployment may be asked with. */
export function addAskOptions(command: Command): Command {
  return command
    .option('--gpu <name>', 'only this kind of GPU (may be repeated; tried in this order)', gather)
    .option('--cloud <name>', 'only this cloud (may be repeated; tried in this order)', gather)
    .option('--region <name>', 'only this region (may be repeated; tried in this order)', gather)
    .option('--gpus <n>', 'this many GPUs', wholeFor('--gpus', 0))
    .addOption(new Option('--spot <rule>', 'spot machines; first: all of them before any on demand').choices(spotRules))
    .option('--max-price <usd>', 'dollars an hour at most', numberFor('--max-price', 0))
    .option('--arg <name=value>', 'argument of the engine (may be repeated)', gather)
    .option('--source <place>', 'of a model that is not configured: owner/name on the hub, or s3://, gs://, az://')
    .addOption(new Option('--engine <name>', 'what loads it from there').choices(['vllm', 'sglang']))
    .option('--concurrency <n>', 'requests of full length that should fit at a time', wholeFor('--concurrency', 1))
    .option('--time-limit <time>', 'of each launch: give up after this long, like 20m', timeFor('--time-limit'))
}

export function wishOf(options: WishOptions): Wish {
  return {
    clouds: options.cloud ?? [],
    regions: options.region ?? [],
    gpus: options.gpu ?? [],
    gpuCount: options.gpus ?? null,
    spot: options.spot ?? 'allow',
    maxPricePerHourMicroUsd: options.maxPrice === undefined ? null : microUsdOf(options.maxPrice),
  }
}

/** A model that the configuration does not name. */
export function ownModelOf({ source, engine }: WishOptions): LaunchRequest['own'] {
  if (source !== undefined) return { source, engine: engine ?? 'vllm' }
  if (engine !== undefined)
    throw usage('--engine says what loads a --source, and there is none.', 'Give both, or neither.')
  return undefined
}

export function engineArgsOf(given: readonly string[] = []): LaunchRequest['engineArgs'] {
  return Object.fromEntries(
    given.map((word) => {
      const read = readArgument(word)
      if (!read) throw usage(`"${word}" names no argument.`, 'Write it like --arg max-model-len=1024.')
      return read
    }),
  )
}

const askedWith = (model: string, options: LaunchOptions): Omit<LaunchRequest, 'dryRun'> => ({
  model,
  own: ownModelOf(options),
  deployment: options.deployment,
  engineArgs: engineArgsOf(options.arg),
  wish: wishOf(options),
  timeLimitS: options.timeLimit,
  concurrency: options.concurrency,
})

interface PlanOptions extends LaunchOptions {
  readonly replicas?: number
}

/** Ends with the exit code of what would be refused. */
async function plan(context: Context, model: string, options: PlanOptions): Promise<ExitCode> {
  const replicas = options.replicas ?? 1
  return answerPlan(context, await context.client.plan({ body: { ...askedWith(model, options), replicas } }))
}

function answerPlan(context: Context, planned: PlanView): ExitCode {
  answer(context, planned, (told) => planText(told, Date.now(), context.terminal.look()))
  const [refusal] = planned.refusals
  return refusal ? exitCodeOf(refusal, 422) : exitCodes.ok
}

async function launch(context: Context, model: string, options: LaunchOptions): Promise<ExitCode> {
  const body = { ...askedWith(model, options), dryRun: options.dryRun ?? false }
  // The key makes a repeated request harmless when its first answer was lost.
  const idempotencyKey = options.idempotencyKey ?? randomUUID()
  const reply = await context.client.createLaunch({ body, idempotencyKey })
  if ('dryRun' in reply) return answerPlan(context, reply.plan)
  if (options.detach) {
    answer(context, reply, ({ id }) => `${id}\n`)
    return exitCodes.ok
  }
  if (!context.json) context.terminal.err(`launch ${reply.id}\n${await pauseNote(context)}`)
  return followLaunch(context, reply)
}

/** A launch waits while automation is paused; whoever watches it should not have to guess why. */
async function pauseNote({ client }: Context): Promise<string> {
  try {
    const { paused, pausedReason } = await client.status()
    if (!paused) return ''
    const why = pausedReason ? ` (${plainLine(pausedReason)})` : ''
    return `Automation is paused${why}: the launch waits until \`flightdeck resume\`.\n`
  } catch {
    // Only a hint: the launch was accepted, and the watching tells what is wrong.
    return ''
  }
}

async function findLaunch({ client }: Context, given: string): Promise<string> {
  if (isWholeId(given)) return given
  const launches = await allOf((query) => client.listLaunches({ query }))
  return pickOne(launches, given, 'launch', 'flightdeck launches').id
}

async function show(context: Context, given: string, options: { follow?: boolean }): Promise<ExitCode> {
  const found = await context.client.showLaunch({ params: { id: await findLaunch(context, given) } })
  if (options.follow) return followLaunch(context, found)
  answer(context, found, (detail) => launchText(detail, Date.now(), context.terminal.look()))
  return exitCodes.ok
}

async function cancel(context: Context, given: string, { wait = false }: { wait?: boolean }): Promise<ExitCode> {
  const id = await findLaunch(context, given)
  const asked: LaunchDetail = await context.client.cancelLaunch({ params: { id } })
  const tell = (launch: LaunchDetail) =>
    answer(context, launch, ({ state }) =>
      isOver(state)
        ? `${id} is ${state.replaceAll('_', ' ')}; nothing of it is left running.\n`
        : `${id} is ending; \`flightdeck show ${id}\` tells when all is given back.\n`,
    )
  if (wait) return waitUntil(context, () => overOrNull(context, id), tell)
  tell(asked)
  return exitCodes.ok
}

async function overOrNull({ client }: Context, id: string): Promise<LaunchDetail | null> {
  const launch = await client.showLaunch({ params: { id } })
  return isOver(launch.state) ? launch : null
}

async function transcript(context: Context, given: string): Promise<void> {
  const told = await context.client.transcript({ params: { id: await findLaunch(context, given) } })
  answer(context, told, (all) => transcriptText(all, context.terminal.look()))
}

interface ListOptions extends PageOptions {
  readonly state?: LaunchView['state']
  readonly model?: string
  readonly deployment?: string
}

async function launches(context: Context, options: ListOptions): Promise<void> {
  const { state, model, deployment } = options
  await answerPage(
    context,
    options,
    (page) => context.client.listLaunches({ query: { ...page, state, model, deployment } }),
    (items) => launchesText(items, Date.now(), context.terminal.look()),
  )
}

export function addLaunchCommands(program: Command, act: Act): void {
  const planned = (name: string, summary: string) =>
    addAskOptions(program.command(`${name} <model>`).description(summary)).option(
      '--deployment <name>',
      'give this deployment one more replica (default: named after the model)',
    )
  planned('launch', 'launch a model on one node, and watch until it serves')
    .option('--dry-run', 'only show what would be done and what it would cost')
    .option('--detach', 'do not watch; print the id')
    .option('--idempotency-key <key>', 'the same key never launches twice (default: a new one)')
    .action(act((context, model: string, options: LaunchOptions) => launch(context, model, options)))
  planned('plan', 'show what a launch would do and cost, and start nothing')
    .option(
      '--replicas <n>',
      'of so many at once, as `deploy` or `scale` would ask for them',
      wholeFor('--replicas', 1),
    )
    .action(act((context, model: string, options: PlanOptions) => plan(context, model, options)))
  addPageOptions(program.command('launches').description('list launches, newest first'), 50)
    .option('--state <states>', 'only those in these states, with commas between')
    .option('--model <name>', 'only of this model')
    .option('--deployment <name>', 'only of this deployment')
    .action(act((context, options: ListOptions) => launches(context, options)))
  program
    .command('show <launch>')
    .description('show one launch: attempts, prices, phases, causes and cost')
    .option('-f, --follow', 'watch until it serves or is over')
    .action(act((context, id: string, options: { follow?: boolean }) => show(context, id, options)))
  program
    .command('transcript <launch>')
    .description('everything that was said during a launch: what happened, and each line of its engines')
    .action(act((context, id: string) => transcript(context, id)))
  program
    .command('cancel <launch>')
    .description('end a launch and everything it started')
    .option('--wait', 'until nothing of it is left running')
    .action(act((context, id: string, options: { wait?: boolean }) => cancel(context, id, options)))
}
