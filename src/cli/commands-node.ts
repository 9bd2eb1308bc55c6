import type { Command } from 'commander'
import { formatUsd } from '../core/money.ts'
import type { LogLine } from '../wire/views.ts'
import { type Act, answer, type Context, untilInterrupted } from './context.ts'
import { asCliFailure, type ExitCode, exitCodes, usage } from './exit.ts'
import { beginsWith, isWholeId, pickOne } from './find.ts'
import { liveFailure, passesByItself } from './follow-launch.ts'
import { type FeedEvent, openFeed } from './live-feed.ts'
import { holdWords, logText, nodesText, nodeText } from './node-text.ts'
import { timeFor, wholeFor } from './option-values.ts'
import { addPageOptions, allOf, answerPage, type PageOptions } from './pages.ts'
import { waitUntil } from './wait.ts'

async function findNode({ client }: Context, given: string): Promise<string> {
  if (isWholeId(given)) return given
  const list = (all: boolean) => allOf((page) => client.listNodes({ query: { ...page, all } }))
  // Names are never used again, so whoever types a few letters means a node that still lives, if one fits.
  const living = await list(false)
  const fits = living.some((one) => beginsWith(one, given))
  return pickOne(fits ? living : await list(true), given, 'node', 'flightdeck nodes --all').id
}

interface ListOptions extends PageOptions {
  readonly all?: boolean
  readonly state?: string
  readonly model?: string
  readonly deployment?: string
}

async function show(context: Context, given: string): Promise<void> {
  const node = await context.client.showNode({ params: { id: await findNode(context, given) } })
  answer(context, node, (detail) => nodeText(detail, Date.now(), context.terminal.look()))
}

async function nodes(context: Context, given: string | undefined, options: ListOptions): Promise<void> {
  if (given !== undefined) return show(context, given)
  const { client, terminal } = context
  const { all = false, state, model, deployment } = options
  await answerPage(
    context,
    options,
    (page) => client.listNodes({ query: { ...page, all, state, model, deployment } }),
    (items) => nodesText(items, Date.now(), terminal.look()),
  )
}

interface EndOptions {
  readonly wait?: boolean
}

async function drain(context: Context, given: string, options: EndOptions & { deadline?: number }): Promise<ExitCode> {
  const id = await findNode(context, given)
  const body = options.deadline === undefined ? {} : { deadlineS: options.deadline }
  const node = await context.client.drainNode({ params: { id }, body })
  if (options.wait) return untilGone(context, id)
  answer(
    context,
    node,
    // The number that is known of what is in flight is of the last heartbeat: it may be wrong by now.
    ({ name }) =>
      `${name} takes no new requests; those in flight are finished, then it is released. Its deployment asks for another machine in its place; \`flightdeck release\` gives one back for good.\n`,
  )
  return exitCodes.ok
}

async function release(context: Context, given: string, options: EndOptions): Promise<ExitCode> {
  const id = await findNode(context, given)
  const node = await context.client.releaseNode({ params: { id } })
  if (options.wait) return untilGone(context, id)
  answer(context, node, ({ name }) => `${name} is being given back; \`flightdeck nodes\` shows when it is gone.\n`)
  return exitCodes.ok
}

interface HoldOptions {
  readonly for?: number
  readonly off?: boolean
}

async function hold(context: Context, given: string, options: HoldOptions): Promise<ExitCode> {
  if ((options.for === undefined) === (options.off !== true))
    throw usage('Say for how long, or that it is over.', 'Give either `--for 2h` or `--off`.')
  const id = await findNode(context, given)
  const node = await context.client.holdNode({ params: { id }, body: { forS: options.for ?? null } })
  answer(context, node, ({ name, ...held }) => {
    const words = holdWords(held, Date.now())
    if (words === null) return `${name} is not held any more.\n`
    return `${name} is ${words}, beside another machine in its place; \`flightdeck hold ${name} --off\` lets it go.\n`
  })
  return exitCodes.ok
}

const untilGone = (context: Context, id: string): Promise<ExitCode> =>
  waitUntil(
    context,
    async () => {
      const node = await context.client.showNode({ params: { id } })
      return node.state === 'gone' ? node : null
    },
    (node) =>
      answer(context, node, ({ name, costMicroUsd }) => `${name} is gone; it cost ${formatUsd(costMicroUsd)}.\n`),
  )

interface LogOptions {
  readonly follow?: boolean
  readonly tail: number
}

async function logs(context: Context, given: string, options: LogOptions): Promise<ExitCode> {
  const { client, terminal, json } = context
  const id = await findNode(context, given)
  const { items } = await client.nodeLogs({ params: { id }, query: { tail: options.tail } })
  if (!options.follow) {
    answer(context, { items }, (log) => log.items.map((line) => logText(line, terminal.look())).join(''))
    return exitCodes.ok
  }
  const print = printerOf((line) => terminal.out(json ? `${JSON.stringify(line)}\n` : logText(line, terminal.look())))
  print(items)
  return followLog(context, id, print)
}

/** Prints each line once and in order, however often it is told. */
function printerOf(print: (line: LogLine) => void) {
  let last = -1
  return (lines: readonly LogLine[]): number => {
    for (const line of lines) {
      if (line.n <= last) continue
      last = line.n
      print(line)
    }
    return last
  }
}

async function followLog(context: Context, id: string, print: ReturnType<typeof printerOf>): Promise<ExitCode> {
  const { client, terminal, connection } = context
  const interrupt = untilInterrupted()
  const stop = new AbortController()
  const feed = openFeed({ ...connection, signal: AbortSignal.any([interrupt.signal, stop.signal]) })
  feed.follow({ do: 'follow', topic: 'log', id })
  let told = false
  try {
    for await (const event of feed.events) {
      if (event.kind === 'message' && event.message.topic === 'log') print(event.message.lines)
      refuseToGoOn(event, feed.drop)
      if (event.kind === 'lost' && !told) terminal.err(`(connection lost: ${event.why}; trying again)\n`)
      if (event.kind !== 'silent') told = event.kind === 'lost'
      // What was said while nobody listened is fetched before the next live lines are looked at.
      if (event.kind === 'open')
        print((await client.nodeLogs({ params: { id }, query: { after: print([]), tail: 5_000 } })).items)
      if (event.kind === 'silent' && (await isGone(context, id, feed.drop))) return exitCodes.ok
    }
    return exitCodes.interrupted
  } finally {
    stop.abort()
    interrupt.done()
  }
}

function refuseToGoOn(event: FeedEvent, dropLine: (why: string) => void): void {
  if (event.kind === 'refused') throw liveFailure('unauthenticated', `The token was refused: ${event.why}`)
  if (event.kind !== 'message' || event.message.topic !== 'error') return
  const { code, message } = event.message
  if (!passesByItself(code)) throw liveFailure(code, message)
  dropLine(message)
}

/** A silent log may be that of a node that is gone; a call that gets no answer means that the line is dead. */
async function isGone({ client, connection }: Context, id: string, dropLine: (why: string) => void): Promise<boolean> {
  try {
    return (await client.showNode({ params: { id } })).state === 'gone'
  } catch (error) {
    const failure = asCliFailure(error, connection.url)
    if (failure.exitCode !== exitCodes.unreachable) throw failure
    dropLine('the connection went silent')
    return false
  }
}

export function addNodeCommands(program: Command, act: Act): void {
  const summary = 'list nodes with state, verdict, the three signals and cost; or show one'
  const list = addPageOptions(program.command('nodes [node]').description(summary), 100)
    .option('--all', 'also those that are gone')
    .option('--state <states>', 'only those in these states, with commas between')
    .option('--model <name>', 'only of this model')
    .option('--deployment <name>', 'only of this deployment')
    .action(act((context, id: string | undefined, options: ListOptions) => nodes(context, id, options)))
  list
    .command('show <node>')
    .description('the same as `nodes NODE`: its witnesses, its verdict with the row that applied, and what happened')
    .action(act((context, id: string) => show(context, id)))
  program
    .command('drain <node>')
    .description('no new requests; finish those in flight; then release the machine')
    .option('--deadline <time>', 'release after this long at the latest, like 5m', timeFor('--deadline'))
    .option('--wait', 'until the machine is gone')
    .action(act((context, id: string, options: EndOptions & { deadline?: number }) => drain(context, id, options)))
  program
    .command('release <node>')
    .description('give the machine back now, and want one replica less')
    .option('--wait', 'until the machine is gone')
    .action(act((context, id: string, options: EndOptions) => release(context, id, options)))
  program
    .command('hold <node>')
    .description('keep a node that fails or drains instead of releasing it, to look at; says what that costs')
    .option('--for <time>', 'from now, like 2h', timeFor('--for'))
    .option('--off', 'let it go')
    .action(act((context, id: string, options: HoldOptions) => hold(context, id, options)))
  program
    .command('logs <node>')
    .description('the last lines of engine and agent')
    .option('-f, --follow', 'go on until the node is gone')
    .option('--tail <n>', 'this many lines', wholeFor('--tail', 1), 200)
    .action(act((context, id: string, options: LogOptions) => logs(context, id, options)))
}
