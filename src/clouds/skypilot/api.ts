import { setTimeout as after } from 'node:timers/promises'
import {
  type FinishedRequest,
  fieldsOf,
  listOf,
  readCluster,
  readFinished,
  readRequest,
  type SkyCluster,
  type SkyFailure,
  type SkyRequest,
  textOf,
} from './api-answers.ts'
import { SkyIdentity, type Whose } from './identity.ts'
import { withoutColours } from './plain-text.ts'
import { skyStages, stageOfEvent } from './steps.ts'

/**
 * What went wrong. `unreachable` leaves the outcome of a call unknown; all others are answers. `busy`: the server shuts
 * down or has no worker; the call was not taken. `forgotten`: it does not know the request (it forgets all at a start).
 * `version`: it or we are too old for the other.
 */
export type SkyErrorKind = 'unreachable' | 'busy' | 'unauthorised' | 'version' | 'rejected' | 'forgotten' | 'failed'

export class SkyError extends Error {
  readonly kind: SkyErrorKind
  /** Of kind `failed`: what the request said. */
  readonly failure: SkyFailure | null

  constructor(kind: SkyErrorKind, message: string, options: { failure?: SkyFailure; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'SkyError'
    this.kind = kind
    this.failure = options.failure ?? null
  }
}

export interface SkyApiOptions {
  readonly url: string
  /** A service account's token, where the server asks for one. */
  readonly token?: string
  /** Eight hex digits, the same for ever: they are part of every cluster's name at its cloud. */
  readonly userId: string
  /** Shown as the command behind every cluster. */
  readonly command: string
}

export interface LaunchAsk {
  readonly clusterName: string
  /** The task file, as text. */
  readonly task: string
}

// The versions that this client was tested with. Without both headers the server takes us for an old client.
const versionHeaders = { 'x-skypilot-api-version': '62', 'x-skypilot-version': '0.14.1' }
// 0.13, of which the routes and answers were read; 0.14.1 was run. Older ones park no launch between its tries.
const leastServerVersion = 55
const callMs = 30_000
const firstPollMs = 100
const longestPollMs = 1_000
// The bodies of requests hold task files; what is only counted or followed leaves them out.
const briefNames = [
  'request_id',
  'name',
  'status',
  'cluster_name',
  'user_id',
  'created_at',
  'finished_at',
  'status_msg',
]
const briefFields = briefNames.map((field) => `fields=${field}`).join('&')

/** A SkyPilot API server, 0.14. Every call is short: long requests are posted here and watched by polling. */
export class SkyApi {
  readonly #options: SkyApiOptions
  readonly #url: string
  readonly #identity: SkyIdentity
  #known: Promise<unknown> | null = null

  constructor(options: SkyApiOptions) {
    this.#options = options
    this.#identity = new SkyIdentity(options)
    this.#url = options.url.replace(/\/+$/, '')
  }

  /** Requests that are not over, of everybody. */
  openRequests(): Promise<Whose<SkyRequest>[]> {
    return this.#requests('')
  }

  /** Everything that was asked about a cluster since the server started, the latest first. */
  requestsOf(clusterName: string): Promise<Whose<SkyRequest>[]> {
    return this.#requests(`cluster_name=${encodeURIComponent(clusterName)}&all_status=true&`)
  }

  /** The latest requests of everybody, the latest first; whoever was away learns from them. */
  pastRequests(limit: number): Promise<Whose<SkyRequest>[]> {
    return this.#requests(`all_status=true&limit=${limit}&`)
  }

  async #requests(query: string): Promise<Whose<SkyRequest>[]> {
    await this.#knowOurselves()
    const rows = listOf(await this.#json('GET', `/api/status?${query}${briefFields}`))
    const found = rows.map((row) => this.#identity.ofRequest(readRequest(row)))
    return found.sort((a, b) => b.createdAt - a.createdAt)
  }

  /** With a token only the server knows who we are: the request of a look that finds nothing tells it. */
  async #knowOurselves(): Promise<void> {
    if (!this.#options.token) return
    this.#known ??= this.#ask('/status', statusOf(['flightdeck'], 'NONE'))
    try {
      await this.#known
    } catch (error) {
      this.#known = null
      throw error
    }
  }

  /** A request that is over. @throws SkyError `forgotten` when the server does not know it. */
  async finished(requestId: string): Promise<FinishedRequest> {
    const response = await this.#send('GET', `/api/get?request_id=${encodeURIComponent(requestId)}`, undefined, [500])
    const body = await jsonOf(response)
    return readFinished(response.status === 500 ? fieldsOf(body)['detail'] : body)
  }

  /** Posts a launch and returns the id of its request. @throws SkyError `unreachable` when it may have been taken. */
  launch({ clusterName, task }: LaunchAsk): Promise<string> {
    // Retries without end are SkyPilot's; ours are bounded, and each pins its place.
    return this.#post('/launch', { task, cluster_name: clusterName, retry_until_up: false, include_credentials: false })
  }

  /** Posts the end of a cluster and returns the id of its request, which takes seconds to minutes. */
  down(clusterName: string): Promise<string> {
    return this.#post('/down', { cluster_name: clusterName, purge: false })
  }

  /** Ends requests. Nothing is cleaned up at the cloud: `down` must follow. */
  async cancel(requestIds: readonly string[]): Promise<void> {
    // Without ids the server would cancel everybody's requests.
    if (requestIds.length > 0) await this.#ask('/api/cancel', { request_ids: requestIds })
  }

  /** Clusters as the server remembers them; all, or those that are named. */
  async clusters(names: readonly string[] | null = null): Promise<Whose<SkyCluster>[]> {
    const rows = listOf(await this.#ask('/status', statusOf(names, 'NONE')))
    return rows.map((row) => this.#identity.ofCluster(readCluster(row)))
  }

  /** Has the server look at the clouds for these clusters, which it does by itself once a minute. */
  async refresh(names: readonly string[]): Promise<void> {
    await this.#ask('/status', statusOf(names, 'FORCE'))
  }

  /** What happened to a cluster, the latest last; by its hash also when its row is gone. In every answer in the same order. */
  async clusterEvents(hash: string): Promise<string[]> {
    const what = { event_type: 'STATUS_CHANGE', include_timestamps: true, limit: null }
    const value = await this.#ask('/cluster_events', { cluster_name: null, cluster_hash: hash, ...what })
    return inOrder(listOf(value).map(fieldsOf)).map(({ reason }) => textOf(reason) ?? '')
  }

  /** The states of a cluster's jobs, as `/queue` names them. */
  async jobStates(clusterName: string): Promise<string[]> {
    const value = await this.#ask('/queue', { cluster_name: clusterName, skip_finished: false, all_users: true })
    return listOf(value).map((job) => textOf(fieldsOf(job)['status']) ?? '')
  }

  /** The last lines that a cluster's latest job wrote. */
  async lastLines(clusterName: string, lines: number): Promise<string[]> {
    const body = { cluster_name: clusterName, job_id: null, follow: false, tail: lines }
    const response = await this.#send('POST', '/logs', body)
    return (await textWithin(response)).split(/\r?\n|\r/).map(withoutColours)
  }

  /** Where a port of the cluster's first node is reached, as `host:port`; null while the cloud does not say. */
  async endpoint(clusterName: string, port: number): Promise<string | null> {
    return textOf(fieldsOf(await this.#ask('/endpoints', { cluster: clusterName, port }))[String(port)])
  }

  /** Clouds, with their contexts or clusters where they have such: `aws`, `slurm/lab`. */
  async enabledInfra(): Promise<string[]> {
    const response = await this.#send('GET', '/enabled_clouds?expand=true')
    const { value } = await this.#result(requestIdOf(response), callMs)
    return listOf(value).flatMap((name) => textOf(name) ?? [])
  }

  /** Rows of the price list of one cloud. A cloud must be named: otherwise the server fetches every list there is. */
  async accelerators(cloud: string, region: string | null): Promise<unknown> {
    return this.#ask('/list_accelerators', {
      clouds: [cloud],
      region_filter: region,
      gpus_only: true,
      all_regions: true,
      require_price: true,
      case_sensitive: false,
    })
  }

  async slurmFreeGpus(): Promise<unknown> {
    return this.#ask('/slurm_gpu_availability', {})
  }

  /** Of every context that the server uses. */
  async kubernetesFreeGpus(): Promise<unknown> {
    return this.#ask('/realtime_kubernetes_gpu_availability', { context: null })
  }

  /** What a request writes, from its beginning, in chunks; ends when the request is over. */
  async *stream(requestId: string, signal: AbortSignal): AsyncGenerator<string> {
    const query = `request_id=${encodeURIComponent(requestId)}&format=console&follow=true`
    const headers = this.#headers()
    const response = await fetch(`${this.#url}/api/stream?${query}`, { headers, signal, redirect: 'error' })
    if (!response.ok || !response.body) throw await refusalOf(response, this.#url)
    const decoder = new TextDecoder()
    for await (const chunk of response.body) yield decoder.decode(chunk as Uint8Array, { stream: true })
  }

  /** Posts, waits until it is over, and returns its value. @throws SkyError */
  async #ask(path: string, body: object): Promise<unknown> {
    return (await this.#result(await this.#post(path, body), callMs)).value
  }

  async #post(path: string, body: object): Promise<string> {
    return requestIdOf(await this.#send('POST', path, body))
  }

  /** `/api/get` would hold the line for as long as it takes, which clients and proxies cut; so the status is asked. */
  async #result(requestId: string, withinMs: number): Promise<FinishedRequest> {
    const deadline = performance.now() + withinMs
    for (let waitMs = firstPollMs; ; waitMs = Math.min(longestPollMs, waitMs * 1.5)) {
      const [seen] = listOf(await this.#json('GET', `/api/status?request_ids=${requestId}`))
      if (seen === undefined) throw new SkyError('forgotten', `The API server does not know the request ${requestId}.`)
      const request = readRequest(seen)
      this.#identity.learn(request)
      if (request.state !== 'open') break
      if (performance.now() > deadline)
        throw new SkyError('unreachable', `The request ${requestId} is not answered within ${withinMs} ms.`)
      await after(waitMs)
    }
    const result = await this.finished(requestId)
    if (result.failure) throw failed(result.failure)
    return result
  }

  async #json(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    return jsonOf(await this.#send(method, path, body))
  }

  /** @throws SkyError for every status but success and those that the caller can read. */
  async #send(
    method: 'GET' | 'POST',
    path: string,
    body?: object,
    readable: readonly number[] = [],
  ): Promise<Response> {
    const init = { method, headers: this.#headers(), redirect: 'error', signal: AbortSignal.timeout(callMs) } as const
    let response: Response
    try {
      const content = body === undefined ? {} : { body: JSON.stringify({ ...this.#asUser(), ...body }) }
      response = await fetch(this.#url + path, { ...init, ...content })
    } catch (cause) {
      throw new SkyError('unreachable', `The SkyPilot API server at ${this.#url} does not answer.`, { cause })
    }
    if (isTooOld(response)) throw serverTooOld(response, this.#url)
    if (response.ok || readable.includes(response.status)) return response
    throw await refusalOf(response, this.#url)
  }

  #headers(): Record<string, string> {
    const { token } = this.#options
    const headers = { ...versionHeaders, 'content-type': 'application/json', 'user-agent': 'flightdeck' }
    return token ? { ...headers, authorization: `Bearer ${token}` } : headers
  }

  /** Half of it, the id without the name, makes the server answer 500. */
  #asUser(): object {
    const { userId, command } = this.#options
    return {
      env_vars: { SKYPILOT_USER_ID: userId, SKYPILOT_USER: 'flightdeck' },
      entrypoint: 'flightdeck',
      entrypoint_command: command,
      using_remote_api_server: true,
      override_skypilot_config: {},
      override_skypilot_config_path: null,
      file_mounts_blob_id: null,
    }
  }
}

/** Events of one second come in any order: then by where a launch gets to later. */
function inOrder(events: readonly Readonly<Record<string, unknown>>[]): Readonly<Record<string, unknown>>[] {
  const stage = (reason: unknown) => skyStages.indexOf(stageOfEvent(textOf(reason) ?? '') ?? 'submitted')
  const keyOf = ({ reason, transitioned_at: at }: Readonly<Record<string, unknown>>) =>
    [Number(at), stage(reason), String(reason)] as const
  return [...events].sort((a, b) => {
    const [[atA, stageA, textA], [atB, stageB, textB]] = [keyOf(a), keyOf(b)]
    return atA - atB || stageA - stageB || (textA < textB ? -1 : 1)
  })
}

/** Left out, the credentials are sent: each cluster's private key. */
const statusOf = (names: readonly string[] | null, refresh: 'NONE' | 'FORCE') => {
  const flags = { all_users: true, include_credentials: false, include_handle: false, summary_response: false }
  return { cluster_names: names, refresh, ...flags }
}

/** Every answer carries a request id, errors too: the status must have been looked at before. */
function requestIdOf(response: Response): string {
  const id = response.headers.get('x-skypilot-request-id')
  if (!id) throw new SkyError('rejected', 'The answer names no request: this is no SkyPilot API server.')
  return id
}

async function refusalOf(response: Response, url: string): Promise<SkyError> {
  const text = withoutColours((await textWithin(response)).slice(0, 4_000))
  if (response.status === 401 || response.status === 403) return unauthorised(url)
  if (response.status === 404) return new SkyError('forgotten', `The API server answers 404: ${text}`)
  if (response.status === 503 || response.status === 429)
    return new SkyError('busy', `The API server is not ready: ${text}`)
  // A proxy in front of it answers so when the server has long taken the call.
  if (response.status >= 500) return new SkyError('unreachable', `The API server answers ${response.status}: ${text}`)
  const kind = text.includes('version_mismatch') ? 'version' : 'rejected'
  return new SkyError(kind, `The API server answers ${response.status}: ${text}`)
}

/** Asked with both headers, a server says its version in every answer of its own; before it did so it was older still. */
function isTooOld({ ok, headers }: Response): boolean {
  const version = headers.get('x-skypilot-api-version')
  if (version === null) return ok && headers.has('x-skypilot-request-id')
  return !(Number(version) >= leastServerVersion)
}

function serverTooOld({ headers }: Response, url: string): SkyError {
  const version = headers.get('x-skypilot-api-version')
  const has = version === null ? 'none' : `${version}, SkyPilot ${headers.get('x-skypilot-version')}`
  return new SkyError(
    'version',
    `The SkyPilot API server at ${url} is too old: its API version is ${has}; at least ${leastServerVersion} is needed, SkyPilot 0.13.`,
  )
}

const failed = (failure: SkyFailure): SkyError =>
  new SkyError('failed', `${failure.type}: ${failure.message}`, { failure })

const unauthorised = (url: string): SkyError =>
  new SkyError('unauthorised', `The SkyPilot API server at ${url} refuses the token of the configuration.`)

async function jsonOf(response: Response): Promise<unknown> {
  const text = await textWithin(response)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new SkyError('rejected', `The API server did not answer with JSON: ${text.slice(0, 200)}`, { cause })
  }
}

/** The connection may break, or the time run out, while the answer is read: then it was no answer. */
async function textWithin(response: Response): Promise<string> {
  try {
    return await response.text()
  } catch (cause) {
    throw new SkyError('unreachable', 'The connection to the SkyPilot API server broke in the middle of an answer.', {
      cause,
    })
  }
}
