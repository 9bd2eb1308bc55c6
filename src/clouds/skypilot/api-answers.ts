import { withoutColours } from './plain-text.ts'

/** How a request of the API server stands. Statuses that we do not know count as open: nothing is over yet. */
export type RequestState = 'open' | 'succeeded' | 'failed' | 'cancelled'

export interface SkyRequest {
  readonly id: string
  /** As the server calls it: `sky.launch`, `sky.down`, ... */
  readonly verb: string
  readonly clusterName: string | null
  /** The user of the server whose request it is. */
  readonly userId: string | null
  readonly state: RequestState
  /** No worker of the server has begun with it. */
  readonly waits: boolean
  /** Epoch ms. */
  readonly createdAt: number
  readonly finishedAt: number | null
  /** What the server says while a request waits for its next try. */
  readonly message: string | null
}

/** What a failed request says of itself. Attributes and traceback exist in a Python pickle only, which is never read. */
export interface SkyFailure {
  readonly type: string
  readonly message: string
}

export interface FinishedRequest extends SkyRequest {
  readonly value: unknown
  readonly failure: SkyFailure | null
}

/** A cluster as `/status` lists it. There is no row for one that ended. */
export interface SkyCluster {
  readonly name: string
  readonly status: string
  readonly hash: string | null
  readonly cloud: string | null
  readonly region: string | null
  /** The user of the server whose cluster it is, and the command behind it. */
  readonly userHash: string | null
  readonly command: string | null
  readonly lastEvent: string | null
  /** Epoch ms, by the server's clock: when it last became what its last launch wanted. */
  readonly launchedAt: number | null
}

type Fields = Readonly<Record<string, unknown>>

export const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
export const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

const msOf = (seconds: unknown): number | null => (typeof seconds === 'number' ? Math.round(seconds * 1_000) : null)

const states: Readonly<Record<string, RequestState>> = {
  SUCCEEDED: 'succeeded',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
}

export function readRequest(value: unknown): SkyRequest {
  const fields = fieldsOf(value)
  return {
    id: textOf(fields['request_id']) ?? '',
    verb: textOf(fields['name']) ?? '',
    clusterName: textOf(fields['cluster_name']) || null,
    userId: textOf(fields['user_id']) || null,
    state: states[textOf(fields['status']) ?? ''] ?? 'open',
    waits: fields['status'] === 'PENDING',
    createdAt: msOf(fields['created_at']) ?? 0,
    finishedAt: msOf(fields['finished_at']),
    message: textOf(fields['status_msg']),
  }
}

/** An answer of `/api/get`: value and error are JSON inside JSON. */
export function readFinished(value: unknown): FinishedRequest {
  const fields = fieldsOf(value)
  const error = fieldsOf(parsed(fields['error']))
  const type = textOf(error['type'])
  const message = withoutColours(textOf(error['message']) ?? '')
  return {
    ...readRequest(value),
    value: parsed(fields['return_value']),
    failure: type === null ? null : { type, message },
  }
}

export function readCluster(value: unknown): SkyCluster {
  const fields = fieldsOf(value)
  return {
    name: textOf(fields['name']) ?? '',
    status: textOf(fields['status']) ?? '',
    hash: textOf(fields['cluster_hash']),
    cloud: textOf(fields['cloud']),
    region: textOf(fields['region']),
    userHash: textOf(fields['user_hash']) || null,
    command: textOf(fields['last_creation_command']),
    lastEvent: textOf(fields['last_event']),
    launchedAt: msOf(fields['launched_at']),
  }
}

function parsed(text: unknown): unknown {
  if (typeof text !== 'string') return null
  try {
    return JSON.parse(text)
  } catch {
    // A value that is no JSON is a pickle, which nobody but Python can read without running it.
    return null
  }
}
