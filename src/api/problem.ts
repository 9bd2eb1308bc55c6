import { Failure, type FailureCode, type FailureRecord, failureRecord, failures } from '../core/failure.ts'
import { codeOf } from '../lib/error-code.ts'
import { isDatabaseAway } from '../store/database-away.ts'
import type { Problem } from '../wire/views.ts'

export interface Refusal {
  readonly status: number
  readonly body: Problem
  readonly headers: Readonly<Record<string, string>>
  /** True for what nobody foresaw: the caller gets the request id, the log gets the error. */
  readonly unforeseen: boolean
}

/** Every error that a call can end with, in the one shape of the control API. */
export function refusalOf(error: unknown, requestId: string): Refusal {
  const known = knownFailure(error)
  if (!known) return refusal('internal', failureRecord('internal', 'Something went wrong inside.'), requestId, {}, true)
  return refusal(known.code, known.record, requestId, known.details, false)
}

function refusal(
  code: FailureCode,
  record: FailureRecord,
  requestId: string,
  details: Readonly<Record<string, unknown>>,
  unforeseen: boolean,
): Refusal {
  const waitS = details.retryAfterS
  return {
    status: failures[code].status,
    body: { error: { ...record, requestId, details } },
    headers: {
      ...(typeof waitS === 'number' ? { 'retry-after': String(waitS) } : {}),
      ...(failures[code].status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    },
    unforeseen,
  }
}

function knownFailure(error: unknown): Failure | null {
  if (error instanceof Failure) return error
  if (isDatabaseAway(error)) return new Failure('database_unavailable', 'The database does not answer.')
  const code = codeOf(error)
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new Failure('too_large', 'The body is larger than this call takes.')
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new Failure('bad_request', 'The body must be application/json.')
  const byCaller = error instanceof Error && 'statusCode' in error && Number(error.statusCode) < 500
  return byCaller ? new Failure('bad_request', `The request could not be read: ${error.message}.`) : null
}
