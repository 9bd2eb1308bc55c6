import { type FailureCode, type FailureRecord, failureRecord } from './failure.ts'
import type { Stage } from './stage.ts'

/** What is known of a stage that failed, besides its output. */
export interface StageEnd {
  readonly stage: Pick<Stage, 'name' | 'title' | 'needsMib'>
  readonly code: number | null
  readonly signal: string | null
  /** The end of what its commands printed. */
  readonly output: string
  readonly freeMib: number | null
  /** What the command said it would fetch, where it did. */
  readonly expectedMib: number | null
}

export interface StageFailure {
  readonly record: FailureRecord
  /** How often it is worth trying in all: `once` where nothing would change, `often` as the stage allows. */
  readonly tries: 'once' | 'twice' | 'often'
}

interface Row {
  readonly pattern: RegExp
  readonly code: FailureCode
  readonly tries: StageFailure['tries']
  readonly cause: (match: RegExpExecArray, end: StageEnd) => string
  readonly over?: Partial<FailureRecord>
}

const isModel = ({ stage }: StageEnd): boolean => stage.name === 'model'
const where = (end: StageEnd): string => {
  const host = /https?:\/\/(?:[^\s/@'"]*@)?([\w.:-]+|\[[\da-f:]+\](?::\d+)?)/i.exec(end.output)?.[1]
  const what = isModel(end) ? 'where the model lies' : 'the package registry'
  return host ? `${what} (${host})` : what
}

const unreachable = (pattern: RegExp, why: string, tries: StageFailure['tries'] = 'often'): Row => ({
  pattern,
  code: 'registry_unreachable',
  tries,
  cause: (_, end) => `${capital(where(end))} ${why}.`,
})

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

// The order is the rule: the first row that matches anywhere in the output names the failure. What the disk, a hub or
// a store say comes first, then what did not let us speak at all, because pip calls that "no matching distribution".
const rows: readonly Row[] = [
  {
    pattern: /No space left on device|\[Errno 28\]|os error 28|Disk quota exceeded/i,
    code: 'disk_full',
    tries: 'once',
    cause: (_, end) => diskCause(end),
  },
  {
    pattern: /not in the authorized list(?:\. Visit (\S+?) to ask for access)?/,
    code: 'token_refused',
    tries: 'once',
    cause: () => 'The model is gated, and the account of the given token has not been granted access.',
    over: { remedy: 'Ask for access on the page of the model, or set the token of an account that has it.' },
  },
  {
    pattern: /Cannot access gated repo|GatedRepoError/,
    code: 'gated_without_token',
    tries: 'once',
    cause: () => 'The model is gated, and no valid token was given.',
    over: { retry: 'never' },
  },
  {
    pattern: /Invalid user token|Invalid credentials in Authorization header|OAuth token is not valid/i,
    code: 'token_refused',
    tries: 'once',
    cause: () => 'The hub does not know the token that was given.',
  },
  {
    pattern: /RevisionNotFoundError|Revision Not Found/,
    code: 'model_not_found',
    tries: 'once',
    cause: (_, { stage }) => `The hub has the repository, but not the revision that was asked for (${stage.title}).`,
  },
  {
    pattern: /RepositoryNotFoundError|Repository Not Found|HFValidationError|Cannot find any safetensors model weights/,
    code: 'model_not_found',
    tries: 'once',
    cause: (_, { stage }) => `It is not there: ${stage.title}.`,
  },
  {
    pattern: /NoSuchBucket|bucket does not exist/i,
    code: 'bucket_not_found',
    tries: 'once',
    cause: (_, { stage }) => `There is no such bucket (${stage.title}).`,
  },
  {
    pattern:
      /\b(AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|NoCredentialsError|Unable to locate credentials|Anonymous caller)\b|\(403\) when calling/,
    code: 'bucket_refused',
    tries: 'once',
    cause: ([, word], { stage }) => `The object store refuses us${word ? ` (${word})` : ''}: ${stage.title}.`,
  },
  {
    pattern: /\b(401 Unauthorized|403 Forbidden|401 Error|403 Error|401 Client Error|403 Client Error)/,
    code: 'registry_refused',
    tries: 'once',
    cause: ([, word], end) => `${capital(where(end))} refuses us (${word}).`,
  },
  unreachable(
    /invalid peer certificate|CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|UnknownIssuer/,
    'shows a certificate that this machine does not trust',
    'once',
  ),
  unreachable(/ProxyError|tunnel error|Cannot connect to proxy|407 Proxy/i, 'cannot be reached through the proxy'),
  unreachable(
    /dns error|failed to lookup address|Name or service not known|Temporary failure in name resolution|No address associated|getaddrinfo/i,
    'cannot be found: its name is not resolved',
  ),
  unreachable(
    /Connection refused|os error 111|Errno 111|timed? ?out|ConnectTimeout|ReadTimeout|Connection reset|ConnectError|Network is unreachable|No route to host|IncompleteRead|error sending request|EndpointConnectionError|Could not connect to the endpoint|HTTP status server error|50[0234] (?:Server|Service|Bad|Gateway|Internal)/i,
    'cannot be reached, or does not answer',
  ),
  {
    pattern:
      /No interpreter found for (Python [^\s,]+)|ensurepip is not available|No module named '?(?:venv|ensurepip)|requires a different Python|(?:current|requested) Python version \(([^)]*)\) does not satisfy|Requires-Python/,
    code: 'no_python',
    tries: 'once',
    cause: ([, wanted, has]) =>
      wanted
        ? `There is no ${wanted} on the machine.`
        : has
          ? `The Python of the machine (${has}) is not one that the engine runs on.`
          : 'The Python of the machine cannot make an environment: a part of it is missing, or it is too old.',
  },
  {
    pattern: /requirement ([^\s,]+) \(from versions: none\)|Because ([^\s,]+) was not found in the package registry/,
    code: 'version_not_found',
    tries: 'once',
    // pip says the same of a package that is not there and of a registry that wants a password.
    cause: ([, pip, uv]) => `The package registry has no ${pip ?? uv}, or does not let us see it.`,
  },
  {
    pattern:
      /there is no version of ([^\s,]+)|No matching distribution found for (\S+)|([\w.-]+==[\w.+-]+) has no (?:wheels|usable)/,
    code: 'version_not_found',
    tries: 'once',
    cause: ([, ...names]) => `The package registry has no ${names.find((name) => name) ?? 'such version'}.`,
  },
  {
    pattern: /Permission denied|\[Errno 13\]|os error 13|Read-only file system|Operation not permitted/i,
    code: 'no_permission',
    tries: 'once',
    cause: () => 'The agent may not write where it was told to install.',
  },
  {
    pattern: /\bMemoryError\b|memory allocation of \d+ bytes failed|Cannot allocate memory/,
    code: 'host_memory',
    tries: 'once',
    cause: (_, { stage }) => `The memory of the machine ran out: ${stage.title}.`,
  },
]

function diskCause({ stage, freeMib, expectedMib }: StageEnd): string {
  const need = expectedMib ?? stage.needsMib
  const has = freeMib === null ? '' : `, and has ${gibWords(freeMib)} free now`
  return need > 0
    ? `The disk is full: ${stage.title} needs about ${gibWords(need)}${has}.`
    : `The disk is full${has}: ${stage.title}.`
}

export const gibWords = (mib: number): string =>
  mib < 1_024 ? `${Math.max(0, Math.floor(mib))} MiB` : `${(mib / 1_024).toFixed(1)} GiB`

const evidenceChars = 4_000
// Some commands hide what went wrong in one that they had started; a disk without this much room speaks for itself.
const fullMib = 16

/** Why a command of a stage ended as it did, and whether trying again may help. */
export function explainStage(end: StageEnd): StageFailure {
  const evidence = { evidence: end.output.slice(-evidenceChars) }
  for (const { pattern, code, tries, cause, over } of rows) {
    const match = pattern.exec(end.output)
    if (!match) continue
    // What cannot be reached is another thing to mend where it is a hub or a store.
    const named = code === 'registry_unreachable' && isModel(end) ? 'hub_unreachable' : code
    return { record: failureRecord(named, cause(match, end), { ...over, ...evidence }), tries }
  }
  if (end.freeMib !== null && end.freeMib < fullMib)
    return { record: failureRecord('disk_full', diskCause(end), evidence), tries: 'once' }
  if (end.signal === 'SIGKILL' || end.code === 137) {
    const cause = `It was killed, and not by us: most often the machine has run out of memory (${end.stage.title}).`
    return { record: failureRecord('host_memory', cause, evidence), tries: 'once' }
  }
  const how = end.signal ? `by the signal ${end.signal}` : `with exit code ${end.code ?? 'unknown'}`
  const cause = `It ended ${how}, and gave no reason that is known here: ${end.stage.title}.`
  return { record: failureRecord('install_failed', cause, evidence), tries: 'twice' }
}

/** Before anything is written: what would run into a full disk is not begun. */
export function whyNoRoom(stage: Pick<Stage, 'title'>, needsMib: number, freeMib: number): FailureRecord | null {
  if (freeMib >= needsMib) return null
  const cause = `${gibWords(needsMib)} of disk are needed, and ${gibWords(freeMib)} are free: ${stage.title}.`
  return failureRecord('disk_full', cause)
}
