/** Who has to act: the caller mends the request, policy is the operator's, the rest is machines or us. */
export const faults = ['caller', 'policy', 'cloud', 'node', 'us'] as const
export type Fault = (typeof faults)[number]

/**
 * `same`: the same offer may work at once. `elsewhere`: another offer first. `not_here`: never this offer again for the
 * launch. `later`: after the remedy or a wait.
 */
export const retries = ['never', 'same', 'elsewhere', 'not_here', 'later'] as const
export type Retry = (typeof retries)[number]

interface Entry {
  readonly fault: Fault
  readonly retry: Retry
  readonly status: number
  readonly remedy: string
}

/** Every refusal and failure that a person can meet. `status` is the HTTP status where it is the answer to a call. */
export const failures = {
  bad_request: entry('caller', 'never', 400, 'Correct the fields that are named and send the request again.'),
  unknown_model: entry(
    'caller',
    'never',
    404,
    'List what can be launched with `flightdeck models`, or add the model to the configuration.',
  ),
  unknown_engine: entry('caller', 'never', 422, 'Name an engine of the configuration; `flightdeck models` lists them.'),
  no_offer_fits: entry(
    'caller',
    'never',
    422,
    'Ask for less, or add an offer; `flightdeck launch --dry-run` shows what there is.',
  ),
  model_too_large: entry(
    'caller',
    'never',
    422,
    'Ask for more or larger GPUs, or for a smaller model; `flightdeck plan` shows what each offer can hold.',
  ),
  gpu_unsupported: entry(
    'caller',
    'never',
    422,
    'Ask for GPUs that the engine runs on, or give the cloud an image or a recipe that was built for these (docs/recipes.md).',
  ),
  gated_without_token: entry(
    'policy',
    'later',
    422,
    'Accept the licence on the model card, then set a token: `flightdeck secrets set HF_TOKEN`.',
  ),
  forbidden_argument: entry(
    'caller',
    'never',
    422,
    'Leave the argument out; only the arguments listed in docs/engines.md are accepted.',
  ),
  malformed_argument: entry('caller', 'never', 422, 'Give the argument a value of the kind that is named.'),
  not_found: entry('caller', 'never', 404, 'Check the id; list what there is first.'),
  wrong_state: entry('caller', 'never', 409, 'Look at its state; the action does not apply to it any more.'),
  name_taken: entry('caller', 'never', 409, 'Choose another name.'),
  idempotency_mismatch: entry('caller', 'never', 409, 'Use a new idempotency key for a different request.'),
  unauthenticated: entry(
    'caller',
    'never',
    401,
    'Send `Authorization: Bearer <token>`; `flightdeck up` printed the first admin token.',
  ),
  role_too_low: entry('policy', 'never', 403, 'Ask an admin for a role that may do this.'),
  origin_refused: entry('policy', 'never', 403, 'Add the origin to the allowed origins of the configuration.'),
  rate_limited: entry('policy', 'later', 429, 'Wait for the time that Retry-After names.'),
  too_large: entry('caller', 'never', 413, 'Send a smaller body.'),
  paused: entry('policy', 'later', 409, 'Resume automation with `flightdeck pause --off`.'),
  join_token_refused: entry('caller', 'never', 401, 'A join token is good once and for a short time; launch again.'),
  node_released: entry('policy', 'never', 410, 'The node was released; its agent ends itself.'),
  credential_refused: entry('caller', 'never', 401, 'The credential does not belong to a living node.'),
  second_holder: entry(
    'policy',
    'never',
    409,
    'Two agents hold one credential: release the node, and find out who copied it.',
  ),
  agent_too_old: entry(
    'policy',
    'same',
    426,
    'Drain or release the node (`flightdeck drain NODE`): the machine in its place fetches the agent that this control plane serves.',
  ),
  database_unavailable: entry(
    'us',
    'later',
    503,
    'The database does not answer; requests are still routed. Try again shortly.',
  ),
  cannot_start: entry('policy', 'later', 503, 'Correct what is named and start it again.'),
  internal: entry('us', 'later', 500, 'This is a fault of Flightdeck; the log has the details under the request id.'),
  gateway_away: entry(
    'us',
    'later',
    503,
    'Start the gateway, or see the log for why it does not take requests; `flightdeck status` lists those that do.',
  ),
  chat_refused: entry(
    'node',
    'later',
    502,
    'Read what the gateway said above; `flightdeck nodes` shows which nodes serve the model.',
  ),
  // What can end an attempt.
  no_capacity: entry('cloud', 'elsewhere', 503, 'The place is full: allow more offers, or try later.'),
  no_quota: entry(
    'policy',
    'not_here',
    502,
    'Ask the cloud to raise the quota that is named below, or allow more offers: other GPUs, regions or clouds.',
  ),
  cloud_refused: entry('cloud', 'not_here', 502, 'Read what the cloud said below.'),
  task_refused: entry(
    'policy',
    'not_here',
    502,
    'Leave out of the configuration of this cloud what is named below, or choose another cloud.',
  ),
  cloud_unknown: entry(
    'cloud',
    'same',
    502,
    'Read what the cloud said below; the text is kept with the attempt. Choose another cloud if it comes again.',
  ),
  cloud_credentials: entry(
    'policy',
    'not_here',
    502,
    'Enable the cloud where its API server runs: `sky check` there names what is missing.',
  ),
  cloud_version: entry(
    'policy',
    'not_here',
    502,
    'Upgrade the older of the two: the SkyPilot API server to 0.14.1, or Flightdeck; docs/skypilot.md names the versions that work.',
  ),
  reclaimed: entry('cloud', 'elsewhere', 502, 'Nothing need be done: another machine is asked for.'),
  cloud_unavailable: entry('cloud', 'same', 503, 'Nothing need be done: it is tried again within bounds.'),
  node_setup_failed: entry(
    'node',
    'elsewhere',
    502,
    'The machine was given back. Read what its set-up said below; another place may do better.',
  ),
  // What can end a machine's set-up, before its agent runs.
  no_nodejs: entry(
    'policy',
    'not_here',
    502,
    'Use an image with Node.js 18 or newer, or build the executable that needs none: `npm run build:agent` where the control plane runs, and start that again.',
  ),
  no_downloader: entry(
    'policy',
    'not_here',
    502,
    'Use an image with curl, wget, python3 or Node.js 18, and with sha256sum, shasum or openssl.',
  ),
  agent_unreachable: entry(
    'node',
    'elsewhere',
    502,
    'See that machines reach the public address of the control plane, and `agentMirror` where there is one: name servers, firewall, HTTPS_PROXY.',
  ),
  agent_altered: entry(
    'policy',
    'not_here',
    502,
    'Find out who serves other bytes. After the agent was built anew, the control plane is started again and a mirror filled again from `dist/agent`.',
  ),
  command_not_found: entry(
    'policy',
    'not_here',
    422,
    'Correct the command of the engine in the configuration, or install it.',
  ),
  // What can end an installation.
  // The same offer comes with the same image, disk and memory.
  no_python: entry(
    'node',
    'not_here',
    502,
    'Use an image with Python 3.11 to 3.13 and its venv module, or with uv, or one that brings the engine.',
  ),
  registry_unreachable: entry(
    'node',
    'elsewhere',
    502,
    'See that the machine reaches the package registry: name servers, HTTPS_PROXY, SSL_CERT_FILE; UV_DEFAULT_INDEX and PIP_INDEX_URL name another one.',
  ),
  registry_refused: entry(
    'policy',
    'never',
    422,
    'Set what the registry or the hub asks for as a secret: UV_DEFAULT_INDEX and PIP_INDEX_URL with a user, or HF_TOKEN.',
  ),
  version_not_found: entry(
    'policy',
    'never',
    422,
    'Name a version of the recipe that the registry has for this Python and this processor.',
  ),
  disk_full: entry('cloud', 'not_here', 502, 'Order a larger disk (`diskGib`), or a smaller or quantized model.'),
  host_memory: entry('node', 'not_here', 502, 'Take a machine with more memory.'),
  no_permission: entry(
    'policy',
    'never',
    422,
    'Name a `folder` in the recipe that the user of the agent may write, or give that user the right.',
  ),
  hub_unreachable: entry(
    'node',
    'elsewhere',
    502,
    'See that the machine reaches it: name servers, HTTPS_PROXY, SSL_CERT_FILE; HF_ENDPOINT and AWS_ENDPOINT_URL name another one.',
  ),
  token_refused: entry('policy', 'never', 422, 'Set a token that is valid: `flightdeck secrets set HF_TOKEN`.'),
  model_not_found: entry(
    'policy',
    'never',
    422,
    'Correct the `source` of the model, or its revision; a private repository also needs HF_TOKEN.',
  ),
  bucket_not_found: entry(
    'policy',
    'never',
    422,
    'Correct the bucket in the `source` of the model, or AWS_ENDPOINT_URL and AWS_DEFAULT_REGION of its store.',
  ),
  bucket_refused: entry(
    'policy',
    'never',
    422,
    'Set secrets that may list and read it: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
  ),
  install_timeout: entry(
    'node',
    'elsewhere',
    504,
    'Look at the speed that was shown: a nearer mirror, another place or an image may be faster.',
  ),
  install_failed: entry('node', 'elsewhere', 502, 'Read what it printed below.'),
  gpu_fault: entry(
    'node',
    'elsewhere',
    502,
    'Nothing need be done: another machine is asked for. Tell the cloud of the machine with the evidence below; docs/gpu-faults.md says what it means.',
  ),
  hardware_mismatch: entry(
    'cloud',
    'elsewhere',
    502,
    'The machine is not what was ordered; it was given back. Choose another offer.',
  ),
  never_joined: entry(
    'node',
    'elsewhere',
    504,
    'The machine came up but its agent never reported: check that it reaches the public address.',
  ),
  join_token_expired: entry(
    'node',
    'elsewhere',
    504,
    'Allow more time (`--time-limit 2h`): the token is good as long as the launch may take. Another place may come up faster.',
  ),
  boot_timeout: entry(
    'cloud',
    'elsewhere',
    504,
    'The machine did not come up in time: no capacity, or a slow image. Try another offer.',
  ),
  load_timeout: entry(
    'node',
    'elsewhere',
    504,
    'The engine did not answer in time: read its log; a larger time limit may help.',
  ),
  engine_failed: entry('node', 'same', 502, 'Read the engine log below.'),
  engine_exited: entry('node', 'same', 502, 'The engine ended by itself: read its log below.'),
  node_vanished: entry('cloud', 'same', 502, 'The cloud ended the machine; a deployment replaces it.'),
  node_dead: entry('node', 'same', 502, 'The node no longer answers and was given up; a deployment replaces it.'),
  launch_timeout: entry(
    'cloud',
    'later',
    504,
    'Look at what the open phase waited for (`flightdeck transcript LAUNCH`), or allow more time (`--time-limit 1h`).',
  ),
  cancelled: entry('caller', 'never', 409, 'It was cancelled; launch again when wanted.'),
} as const satisfies Record<string, Entry>

export type FailureCode = keyof typeof failures

function entry(fault: Fault, retry: Retry, status: number, remedy: string): Entry {
  return { fault, retry, status, remedy }
}

/** A failure as it is kept and shown: `cause` in plain words, `evidence` the raw line or text, if any. */
export interface FailureRecord {
  readonly code: string
  readonly fault: Fault
  readonly retry: Retry
  readonly cause: string
  readonly remedy: string
  readonly evidence?: string
  /** An argument of the engine that would have worked, where the engine itself named it. */
  readonly suggestion?: { readonly argument: string; readonly value: string | number }
}

export const isFailureCode = (code: string): code is FailureCode => Object.hasOwn(failures, code)

/** What may end a machine that served and come again on the next one: the engine or what it was given, and no cloud. */
export const crashCodes: readonly string[] = ['engine_failed', 'engine_exited', 'host_memory', 'node_dead']

/** A record of the catalogue's entry; `over` replaces the remedy, the retry or adds evidence where more is known. */
export function failureRecord(code: FailureCode, cause: string, over: Partial<FailureRecord> = {}): FailureRecord {
  const { fault, retry, remedy } = failures[code]
  return { code, fault, retry, cause, remedy, ...over }
}

/** An expected refusal. Thrown anywhere, turned into an answer in one place for each protocol. */
export class Failure extends Error {
  readonly code: FailureCode
  readonly record: FailureRecord
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: FailureCode,
    cause: string,
    over: Partial<FailureRecord> = {},
    details: Record<string, unknown> = {},
  ) {
    super(cause)
    this.name = 'Failure'
    this.code = code
    this.record = failureRecord(code, cause, over)
    this.details = details
  }

  get status(): number {
    return failures[this.code].status
  }
}
