import { type FailureRecord, failureRecord } from '../core/failure.ts'
import type { CallFailure } from '../wire/client.ts'
import { plainBlock, plainLine } from './plain-text.ts'
import type { Look } from './terminal.ts'

/** What the command's exit code says; docs/cli.md promises these to scripts. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  timedOut: 5,
  interrupted: 130,
} as const
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** The end of a command that did not do what was asked. */
export class CliFailure extends Error {
  readonly record: FailureRecord
  readonly exitCode: ExitCode
  readonly requestId: string | null

  constructor(record: FailureRecord, exitCode: ExitCode, requestId: string | null = null) {
    super(record.cause)
    this.record = record
    this.exitCode = exitCode
    this.requestId = requestId
  }
}

/** The caller's own mistake: nothing was asked of the server, or it says that the request is wrong. */
export function usage(cause: string, remedy: string): CliFailure {
  return new CliFailure(failureRecord('bad_request', cause, { remedy }), exitCodes.usage)
}

export function unreachable(url: string, why: string): CliFailure {
  const record: FailureRecord = {
    code: 'unreachable',
    fault: 'us',
    retry: 'later',
    cause: `The control plane at ${url} cannot be reached. ${plainLine(why)}`,
    remedy: 'Start it with `flightdeck up`, or say where it is with --url or FLIGHTDECK_URL.',
  }
  return new CliFailure(record, exitCodes.unreachable)
}

/** Which exit code stands for a refusal by the server. */
export function exitCodeOf(record: FailureRecord, status: number): ExitCode {
  if (status === 401 || record.code === 'unauthenticated' || record.code === 'role_too_low') return exitCodes.refused
  if (record.code === 'launch_timeout') return exitCodes.timedOut
  return record.fault === 'caller' ? exitCodes.usage : exitCodes.failed
}

/** Told by its shape: the class would load the schemas also for `--help`. */
function isCallFailure(error: unknown): error is CallFailure {
  return error instanceof Error && error.name === 'CallFailure'
}

/** Any error as a failure that can be shown; `url` is where the call went. */
export function asCliFailure(error: unknown, url: string): CliFailure {
  if (error instanceof CliFailure) return error
  if (isCallFailure(error)) {
    // Status 0: the call never got an answer.
    if (error.status === 0) return unreachable(url, error.error.cause)
    return new CliFailure(error.error, exitCodeOf(error.error, error.status), error.requestId || null)
  }
  const text = error instanceof Error ? error.message : String(error)
  return new CliFailure(failureRecord('internal', text), exitCodes.failed)
}

const evidenceLines = 12

/** Cause first, then what to do; code and request id are for a report to somebody else. */
export function failureText(failure: Pick<CliFailure, 'record' | 'requestId'>, look: Look): string {
  const { record, requestId } = failure
  const { paint } = look
  const evidence = record.evidence ? plainBlock(record.evidence).trim().split('\n').slice(-evidenceLines) : []
  const reference = [`code ${record.code}`, requestId ? `request ${requestId}` : ''].filter(Boolean).join(', ')
  return [
    `${paint.bad('error:')} ${plainBlock(record.cause)}`,
    ...evidence.map((line) => paint.dim(`  | ${line}`)),
    `${paint.bold('what to do:')} ${plainBlock(record.remedy)}`,
    paint.dim(`(${reference})`),
    '',
  ].join('\n')
}

export function failureJson({ record, requestId, exitCode }: CliFailure): string {
  return `${JSON.stringify({ error: { ...record, requestId }, exitCode })}\n`
}
