import { STATUS_CODES } from 'node:http'
import { type FailureCode, failures } from '../core/failure.ts'

/** The one shape of an error for OpenAI's clients: always these four keys, `code` a string or null. */
export interface OpenAiError {
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string | null
}

/** A refusal of the gateway itself. */
export interface Refusal {
  readonly status: number
  readonly error: OpenAiError
  /** At most 60: OpenAI's clients wait by themselves up to that. */
  readonly retryAfterS: number | null
}

const invalid = 'invalid_request_error'
const server = 'server_error'

const typeOf = (status: number) => (status === 429 ? 'rate_limit_error' : status < 500 ? invalid : server)

/** A refusal that the catalogue knows, with the code that OpenAI's clients know it by. */
function catalogued(failure: FailureCode, code: string, message: string, param: string | null = null): Refusal {
  const { status } = failures[failure]
  return { status, error: { message, type: typeOf(status), param, code }, retryAfterS: null }
}

function refused(status: number, code: string, message: string, retryAfterS: number | null = null): Refusal {
  return { status, error: { message, type: typeOf(status), param: null, code }, retryAfterS }
}

export const refusals = {
  noKey: () =>
    catalogued('unauthenticated', 'invalid_api_key', 'No API key was given: send `Authorization: Bearer fd_key_...`.'),
  badKey: () =>
    catalogued(
      'unauthenticated',
      'invalid_api_key',
      'The API key is unknown or was revoked. Ask an operator for a new one (`flightdeck keys create`).',
    ),
  metricsKept: () =>
    catalogued(
      'unauthenticated',
      'metrics_kept',
      'Metrics are told to programs on this machine, and to whoever shows the token of the gateways.',
    ),
  modelForbidden: (model: string): Refusal => ({
    status: 403,
    error: {
      message: `The API key may not use the model \`${model}\`; ask for a key that may.`,
      type: invalid,
      param: 'model',
      code: 'model_forbidden',
    },
    retryAfterS: null,
  }),
  unknownModel: (model: string) =>
    catalogued(
      'unknown_model',
      'model_not_found',
      `The model \`${model}\` does not exist; GET /v1/models lists those that do.`,
      'model',
    ),
  noSuchPath: (path: string) => catalogued('not_found', 'unknown_url', `There is nothing at ${path}.`),
  tooLarge: (limit: number) =>
    catalogued('too_large', 'request_too_large', `The body is larger than the ${limit} bytes that are allowed.`),
  badBody: (message: string, param: string | null = null) => catalogued('bad_request', 'invalid_body', message, param),
  noNode: (model: string) =>
    refused(503, 'no_node', `No node serves \`${model}\` at this moment. Try again shortly.`, 5),
  queueFull: (model: string) => refused(503, 'overloaded', `Every node of \`${model}\` is busy. Try again shortly.`, 2),
  stopping: () => refused(503, 'stopping', 'This gateway is shutting down. Try again.', 1),
  nodeFailed: (why: string) => refused(502, 'node_failed', `The node failed before it answered. ${why}`),
  nodeSilent: () => refused(504, 'node_timeout', 'The node did not answer in time.'),
  notReady: () => refused(503, 'starting', 'The gateway has no routing table yet. Try again shortly.', 2),
  internal: () => refused(500, 'internal', failures.internal.remedy),
} as const

export const streamBroke = (why: string): OpenAiError => ({
  message: `The stream broke before it was complete. ${why}`,
  type: server,
  param: null,
  code: 'stream_broken',
})

export const errorBody = (error: OpenAiError): string => JSON.stringify({ error })

export const errorEvent = (error: OpenAiError): string => `data: ${JSON.stringify({ error })}\n\n`

/** What an engine said, in whatever shape, as OpenAI's. `path`: for the engines that answer only "Not Found". */
export function normalisedError(status: number, body: string, path: string): OpenAiError {
  const said = readError(body)
  const message =
    status === 404 && said.message === 'Not Found'
      ? `This model does not serve ${path}.`
      : (said.message ?? `The engine answered with status ${status} ${STATUS_CODES[status] ?? ''}.`.replace(' .', '.'))
  return { message, type: typeOf(status), param: said.param, code: said.code ?? codeOf(status, message, said.param) }
}

/** The error of a data event in a stream, after a status of 200 was sent long ago. */
export function normalisedStreamError(error: unknown): OpenAiError {
  const said = fromValue(error)
  const message = said.message ?? 'The engine failed.'
  const status = typeof said.status === 'number' && said.status >= 400 && said.status < 600 ? said.status : 500
  return { message, type: typeOf(status), param: said.param, code: said.code ?? codeOf(status, message, said.param) }
}

interface Said {
  message: string | null
  param: string | null
  code: string | null
  status: number | null
}

const nothing: Said = { message: null, param: null, code: null, status: null }

function readError(body: string): Said {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    // HTML or plain text, of a proxy on the way perhaps: nothing of it is for clients.
    return nothing
  }
  if (parsed === null || typeof parsed !== 'object') return nothing
  const { error, detail, message } = parsed as Record<string, unknown>
  return fromValue(error ?? detail ?? message)
}

function fromValue(value: unknown): Said {
  if (typeof value === 'string') return { ...nothing, message: value }
  if (Array.isArray(value)) return fromList(value)
  if (value === null || typeof value !== 'object') return nothing
  const { message, param, code } = value as Record<string, unknown>
  const isWord = typeof code === 'string' && !/^\d*$/.test(code)
  return {
    message: typeof message === 'string' && message !== '' ? message : null,
    param: typeof param === 'string' ? param : null,
    code: isWord ? code : null,
    status: typeof code === 'number' ? code : null,
  }
}

/** The list of a schema check: `[{ loc: ['body', 'messages'], msg: '...' }]`. */
function fromList(list: readonly unknown[]): Said {
  const first = list[0]
  if (first === null || typeof first !== 'object') return nothing
  const { msg, loc } = first as Record<string, unknown>
  const param = Array.isArray(loc) ? loc.filter((part) => part !== 'body').join('.') : null
  return { ...nothing, message: typeof msg === 'string' ? msg : null, param: param === '' ? null : param }
}

const tooLong = /max_model_len|maximum context length|context length|max_tokens must|too long/i

function codeOf(status: number, message: string, param: string | null): string | null {
  if (status === 404) return param === 'model' ? 'model_not_found' : null
  if (status === 400) return tooLong.test(message) ? 'context_length_exceeded' : null
  if (status === 429) return 'rate_limit_exceeded'
  return null
}
