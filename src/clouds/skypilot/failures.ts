import { type FailureCode, type FailureRecord, failureRecord } from '../../core/failure.ts'
import type { SkyFailure } from './api-answers.ts'

interface Kind {
  readonly types?: readonly string[]
  readonly text?: RegExp
  /** Only of a machine that came up and is being set up. */
  readonly inSetUp?: true
  readonly code: FailureCode
  readonly cause: string
  readonly over?: Partial<FailureRecord>
}

const credentialTypes = [
  'NoCloudAccessError',
  'CloudUserIdentityError',
  'InvalidCloudCredentials',
  'InvalidCloudConfigs',
  'PermissionDeniedError',
]
const interruptedType = 'RequestInterruptedError'
const foreignType = 'ClusterOwnerIdentityMismatchError'
const setUpTypes = ['ClusterSetUpError', 'FetchClusterInfoError', 'NetworkError']
// These come from anywhere in the server; by its source only such texts are of a machine's set-up. 255 is how ssh fails.
const generalTypes = ['CommandError', 'RuntimeError']
const setUpText =
  /Failed to (run setup commands on an instance|SSH to|start (ray|skylet) on the|setup logging agent|retrieve docker user)|(return|exit) code:? 255/
// Of an account that is known but may not rent there: a region that is not enabled for it, a right that it lacks.
const notAllowed = /\b(AuthFailure|OptInRequired|PendingVerification|UnauthorizedOperation|AccessDenied)\b/
// How SkyPilot tells `credentialTypes` where a place failed with them: by their texts, as of its source.
const credentialTexts =
  /invalid cloud (credentials|config)|InvalidCloud(Credentials|Configs)|credentials are not set|Failed to access \w+ services with credentials|access token is expired|Invalid AWS configuration|awscli is too old|Failed to get (activated )?\w+ (user|account|project)\b|No GCP account is activated|Nebius profile|Kubernetes context .* not found/
// Refusals for want of room name a page on quotas, too.
const quotaTexts =
  /Found no quota for|(QUOTA_|Quota)Exceeded|(Vcpu|Instance|Volume)LimitExceeded|MaxSpotInstanceCountExceeded|quota[^.\n]*exceed|exceed[^.\n]*quota/i
// As clouds say that they have none left at the moment; SkyPilot itself sums every failure of a place up as such.
const roomTexts =
  /capacity|stock|exhausted|insufficient|not enough|(un|not |no longer )available|no available|SkuNotAvailable|spot price/i
const requestTypes = [
  'NotSupportedError',
  'InvalidClusterNameError',
  'InvalidSkyPilotConfigError',
  'ValueError',
  'ResourcesMismatchError',
]

const credentialsRefused = 'The cloud does not accept the credentials of the SkyPilot API server.'

// In order: the first that matches counts. Types and texts as of SkyPilot 0.14.1, the texts seen in recorded answers.
const kinds: readonly Kind[] = [
  {
    text: /features are not supported/,
    code: 'task_refused',
    cause: 'This cloud does not support what the task asks for.',
  },
  {
    types: ['ResourcesUnavailableError'],
    text: /requires \S+ which is not enabled/,
    code: 'cloud_credentials',
    cause: 'The cloud is not enabled at the SkyPilot API server.',
  },
  {
    types: ['ResourcesUnavailableError'],
    text: /Catalog does not contain any instances|No resource satisfying/,
    code: 'cloud_refused',
    cause: 'The cloud does not sell such a machine.',
    over: { remedy: 'Choose another offer; the price list may have changed since this one was read.' },
  },
  {
    types: ['ResourcesUnavailableError'],
    text: credentialTexts,
    code: 'cloud_credentials',
    cause: credentialsRefused,
  },
  { types: credentialTypes, code: 'cloud_credentials', cause: credentialsRefused },
  {
    types: ['ResourcesUnavailableError'],
    text: notAllowed,
    code: 'cloud_refused',
    cause: 'The account may not rent there.',
    over: { fault: 'policy', remedy: 'Enable the region for the account, or give it the right that is named below.' },
  },
  {
    types: ['ResourcesUnavailableError'],
    text: quotaTexts,
    code: 'no_quota',
    cause: 'The quota of the account does not reach there.',
  },
  { types: ['ResourcesUnavailableError'], code: 'no_capacity', cause: 'There is no capacity there.' },
  {
    types: [foreignType],
    code: 'cloud_refused',
    cause: 'The name of the cluster belongs to somebody else.',
    over: { retry: 'same', remedy: 'Nothing need be done: the next attempt has another name.' },
  },
  {
    types: requestTypes,
    code: 'task_refused',
    cause: 'SkyPilot does not accept the task for this cloud.',
    over: { fault: 'us' },
  },
  {
    types: ['RuntimeError'],
    text: /Failed to build pip wheel/,
    code: 'cloud_unavailable',
    cause: 'The SkyPilot API server could not build what it installs on machines; no machine was asked for.',
    over: { remedy: 'Look at the disk and the Python of the API server.' },
  },
  {
    inSetUp: true,
    text: /No space left on device|Errno 28|os error 28|Disk quota exceeded/i,
    code: 'disk_full',
    cause: 'The disk of the machine was full before SkyPilot had set it up.',
  },
  {
    inSetUp: true,
    text: /dns error|name resolution|Could not resolve|Connection (refused|reset|timed out)|Network is unreachable/i,
    code: 'registry_unreachable',
    cause: 'The machine came up, but SkyPilot could not fetch what it sets it up with.',
  },
  {
    inSetUp: true,
    code: 'node_setup_failed',
    cause: 'The machine came up, but SkyPilot could not set it up.',
  },
  {
    types: ['CloudError', 'ConnectionError'],
    code: 'cloud_unavailable',
    cause: 'The cloud, or its price list, did not answer the SkyPilot API server.',
  },
  {
    types: [interruptedType],
    code: 'cloud_unavailable',
    cause: 'The SkyPilot API server was restarted in the middle of the launch.',
  },
  {
    types: ['ClusterNotUpError', 'ClusterDoesNotExist'],
    code: 'cloud_unavailable',
    cause: 'The cluster went away while SkyPilot launched it.',
  },
  {
    types: ['BrokenProcessPool'],
    code: 'cloud_unavailable',
    cause: 'A worker of the SkyPilot API server died.',
    over: { remedy: 'Give the API server more memory.' },
  },
]

/** A server that is restarted with care cancels what it works on. */
export const interrupted = (message: string): FailureRecord => failureOfLaunch({ type: interruptedType, message })

/** A cluster of this name is another user's: of the same server, where anybody may end anybody's. */
export const nameTaken = (name: string): FailureRecord =>
  failureOfLaunch({ type: foreignType, message: `${name} is a cluster of another user.` })

/** The name of the launch is a cluster that somebody else owns. */
export const isForeign = (refusal: FailureRecord | null): boolean =>
  refusal?.evidence?.startsWith(`${foreignType}: `) ?? false

// What is kept and what is told of a text that goes on for pages, in characters.
const longestEvidence = 4_000
const longestDetail = 500

/**
 * A failed launch request in our words, with what its cloud answered where SkyPilot wrote that down elsewhere. What nobody
 * has seen before is tried once more, and its text is kept.
 */
export function failureOfLaunch({ type, message }: SkyFailure, cloudSaid: readonly string[] = []): FailureRecord {
  const inSetUp = setUpTypes.includes(type) || (generalTypes.includes(type) && setUpText.test(message))
  const reasons = [...new Set([...reasonsIn(message), ...cloudSaid])]
  const told = reasons.length > 0 ? reasons.join(' ') : message
  const kind = kinds.find(
    (one) => (one.types?.includes(type) ?? true) && (one.text?.test(told) ?? true) && (inSetUp || one.inSetUp !== true),
  )
  const evidence = [`${type}: ${message}`, ...cloudSaid].join('\n').slice(0, longestEvidence)
  if (!kind) return failureRecord('cloud_unknown', `SkyPilot failed: ${firstLine(message)}`, { evidence })
  const [answer] = cloudSaid
  if (kind.code === 'no_capacity' && answer !== undefined && !cloudSaid.some((one) => roomTexts.test(one)))
    return failureRecord('cloud_unknown', `The cloud refused: ${answer.slice(0, longestDetail)}`, { evidence })
  const detail = reasons.length > 0 ? told.slice(0, longestDetail) : firstLine(message)
  const cause = detail === '' ? kind.cause : `${kind.cause} It said: ${detail}`
  return failureRecord(kind.code, cause, { ...kind.over, evidence })
}

/** SkyPilot tells for each place that it tried why it failed there: a line with a cross, and the reason below it. */
const reasonsIn = (message: string): string[] =>
  message
    .split(/^✗ .*$/m)
    .slice(1)
    .map((reason) => reason.trim().replace(/\s+/g, ' '))

const firstLine = (text: string): string =>
  (text.split('\n').find((line) => line.trim() !== '') ?? '').trim().slice(0, longestDetail)
