import { failureRecord, failures, isFailureCode } from '../core/failure.ts'
import { humanRough } from '../core/human-time.ts'
import { isOver } from '../core/launch-table.ts'
import type { LiveMessage } from '../wire/live.ts'
import type { LaunchDetail } from '../wire/views.ts'
import { type Context, untilInterrupted } from './context.ts'
import { asCliFailure, CliFailure, type ExitCode, exitCodeOf, exitCodes, failureText, unreachable } from './exit.ts'
import { type Display, jsonDisplay, linesDisplay, screenDisplay, servingText } from './launch-display.ts'
import { type Feed, type FeedEvent, openFeed } from './live-feed.ts'

/** A launch goes on without its watcher, so the watcher gives up long before the launch's own time limit. */
const patienceMs = 120_000

/** How a launch that moves no more counts for a script. */
export function exitCodeOfLaunch(launch: LaunchDetail): ExitCode {
  if (launch.state === 'timed_out') return exitCodes.timedOut
  const served = launch.attempts.some(({ outcome }) => outcome === 'served')
  return launch.state === 'live' || (launch.state === 'ended' && served) ? exitCodes.ok : exitCodes.failed
}

const isSettled = ({ state }: LaunchDetail): boolean => state === 'live' || isOver(state)

/** Shows a launch until it serves or is over. Ctrl-C ends the watching, not the launch. */
export async function followLaunch(context: Context, first: LaunchDetail): Promise<ExitCode> {
  const interrupt = untilInterrupted()
  try {
    const last = await watchLaunch(context, first, interrupt.signal)
    return isSettled(last) ? await tellTheEnd(context, last) : tellHowToGoOn(context, last)
  } catch (error) {
    throw goesOnAnyway(asCliFailure(error, context.connection.url), first.id)
  } finally {
    interrupt.done()
  }
}

/** Shows a launch until it serves, is over, or the signal aborts; returns it as it was last seen. */
export async function watchLaunch(context: Context, first: LaunchDetail, signal: AbortSignal): Promise<LaunchDetail> {
  const { terminal, json } = context
  const display = json ? jsonDisplay(terminal) : (terminal.interactive ? screenDisplay : linesDisplay)(terminal)
  const stop = new AbortController()
  try {
    return await watch(context, first, display, AbortSignal.any([signal, stop.signal]))
  } finally {
    stop.abort()
    display.close()
  }
}

async function watch(
  context: Context,
  first: LaunchDetail,
  display: Display,
  signal: AbortSignal,
): Promise<LaunchDetail> {
  const frame: { launch: LaunchDetail; lastLine: string | null; trouble: string | null } = {
    launch: first,
    lastLine: null,
    trouble: null,
  }
  display.show(frame)
  if (isSettled(first)) return first
  const feed = openFeed({ ...context.connection, signal })
  feed.follow({ do: 'follow', topic: 'launch', id: first.id })
  let logOf: string | null = null
  for await (const event of feed.events) {
    const heard = await hear(context, feed, event, first.id)
    if (heard?.topic === 'launch') frame.launch = heard.launch
    if (heard?.topic === 'log' && heard.id === logOf) frame.lastLine = heard.lines.at(-1)?.text ?? frame.lastLine
    if (event.kind === 'lost' && heard === null) frame.trouble = troubleWords(event)
    else if (heard !== null) frame.trouble = null
    const nodeId = frame.launch.attempts.at(-1)?.nodeId ?? null
    if (nodeId !== null && nodeId !== logOf) {
      logOf = nodeId
      frame.lastLine = null
      feed.follow({ do: 'follow', topic: 'log', id: nodeId })
    }
    display.show(frame)
    if (isSettled(frame.launch)) break
  }
  return frame.launch
}

/** What an event says about the launch, if anything. Throws where going on makes no sense. */
async function hear(context: Context, feed: Feed, event: FeedEvent, id: string): Promise<LiveMessage | null> {
  if (event.kind === 'refused') throw liveFailure('unauthenticated', `The token was refused: ${event.why}`)
  if (event.kind === 'silent' || event.kind === 'lost') return askInstead(context, feed, event, id)
  if (event.kind !== 'message') return null
  if (event.message.topic !== 'error') return event.message
  const { code, message } = event.message
  // A node without a log yet is no reason to stop watching its launch.
  if (code === 'not_found') return null
  if (!passesByItself(code)) throw liveFailure(code, message)
  feed.drop(message)
  return null
}

/** Without live updates the launch is asked for: it tells a quiet line from a dead one, and works where no socket may. */
async function askInstead(
  { client, connection }: Context,
  feed: Feed,
  event: Extract<FeedEvent, { kind: 'silent' | 'lost' }>,
  id: string,
): Promise<LiveMessage | null> {
  try {
    return { topic: 'launch', id, launch: await client.showLaunch({ params: { id } }) }
  } catch (error) {
    const failure = asCliFailure(error, connection.url)
    if (failure.exitCode !== exitCodes.unreachable && !passesByItself(failure.record.code)) throw failure
    if (event.kind === 'silent') feed.drop('the connection went silent')
    else if (event.lostForMs > patienceMs) throw unreachable(connection.url, event.why)
    return null
  }
}

/** The server is in trouble of its own, like a database that is away: worth another connection. */
export const passesByItself = (code: string): boolean => isFailureCode(code) && failures[code].retry === 'later'

export function liveFailure(code: string, message: string): CliFailure {
  const known = isFailureCode(code) ? code : 'internal'
  const record = { ...failureRecord(known, message), code }
  return new CliFailure(record, exitCodeOf(record, failures[known].status))
}

const troubleWords = ({ why, lostForMs }: Extract<FeedEvent, { kind: 'lost' }>): string =>
  `no word from the control plane for ${humanRough(lostForMs)} (${why}); the launch goes on, trying again`

function tellHowToGoOn({ terminal, json }: Context, { id, state }: LaunchDetail): ExitCode {
  if (json) terminal.out(`${JSON.stringify({ event: 'interrupted', id, state })}\n`)
  else terminal.err(`\nStopped watching; the launch goes on.\n${waysOn(id)}`)
  return exitCodes.interrupted
}

const waysOn = (id: string): string =>
  `  watch again: flightdeck show ${id} --follow\n  cancel it:   flightdeck cancel ${id}\n`

function goesOnAnyway(failure: CliFailure, id: string): CliFailure {
  const remedy = `${failure.record.remedy} The launch may go on: \`flightdeck show ${id} --follow\` watches it again.`
  return new CliFailure({ ...failure.record, remedy }, failure.exitCode, failure.requestId)
}

async function tellTheEnd(context: Context, launch: LaunchDetail): Promise<ExitCode> {
  const { terminal, json } = context
  const exitCode = exitCodeOfLaunch(launch)
  const gateway = launch.state === 'live' ? await gatewayUrl(context) : null
  if (json) terminal.out(`${JSON.stringify({ event: 'end', exitCode, gateway, launch })}\n`)
  else if (launch.state === 'live') terminal.out(servingText(launch, gateway, Date.now()))
  else if (launch.failure) {
    terminal.err(failureText({ record: launch.failure, requestId: null }, terminal.look()))
    terminal.err(`  all that was said: flightdeck transcript ${launch.id}\n`)
  }
  return exitCode
}

/** Only a convenience: a launch that serves is a success also when this cannot be told. */
async function gatewayUrl({ client }: Context): Promise<string | null> {
  try {
    return (await client.status()).gateways[0]?.url ?? null
  } catch {
    // Whoever wants the address will ask again with `flightdeck status`.
    return null
  }
}
