import { failureRecord } from '../core/failure.ts'
import { isOver } from '../core/launch-table.ts'
import type { LiveMessage } from '../wire/live.ts'
import type { LaunchDetail } from '../wire/views.ts'
import { type Context, untilInterrupted } from './context.ts'
import { asCliFailure, CliFailure, type ExitCode, exitCodes, failureText, unreachable } from './exit.ts'
import { humanRough } from './human-time.ts'
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
    frame.trouble = event.kind === 'lost' ? troubleWords(event) : event.kind === 'silent' ? frame.trouble : null
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
  const { client, connection } = context
  if (event.kind === 'refused') {
    throw new CliFailure(failureRecord('unauthenticated', `The token was refused: ${event.why}.`), exitCodes.refused)
  }
  if (event.kind === 'lost' && event.lostForMs > patienceMs) throw unreachable(connection.url, event.why)
  if (event.kind === 'silent') {
    // A quiet launch answers over HTTP; a dead connection does not, and is opened anew.
    try {
      return { topic: 'launch', id, launch: await client.showLaunch({ params: { id } }) }
    } catch (error) {
      const failure = asCliFailure(error, connection.url)
      if (failure.exitCode !== exitCodes.unreachable) throw failure
      feed.drop()
      return null
    }
  }
  if (event.kind !== 'message') return null
  if (event.message.topic === 'error') {
    const { code, message } = event.message
    // A node without a log yet is no reason to stop watching its launch.
    if (code === 'not_found') return null
    throw new CliFailure({ ...failureRecord('internal', message), code }, exitCodes.failed)
  }
  return event.message
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
  else if (launch.failure) terminal.err(failureText({ record: launch.failure, requestId: null }, terminal.look()))
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
