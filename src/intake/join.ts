import { Failure, type FailureRecord, failureRecord } from '../core/failure.ts'
import { hardwareMismatch } from '../core/hardware.ts'
import { noticeServiceOf } from '../core/notice.ts'
import { leaseMsOf } from '../core/pace.ts'
import { tokenPrefixes } from '../core/tokens.ts'
import { storable } from '../lib/canonical.ts'
import { sameDigest, sha256 } from '../lib/chance.ts'
import { appendAudit } from '../store/audit.ts'
import { nudge } from '../store/claims.ts'
import type { Tx } from '../store/database.ts'
import { tellEvent } from '../store/events.ts'
import { livingGateways } from '../store/gateways.ts'
import { saveFailure } from '../store/heard.ts'
import { nodeIdOfToken } from '../store/join-token.ts'
import { type JoiningNode, lockJoining, saveJoin, saveSeen } from '../store/joins.ts'
import { enterPhase } from '../store/phases.ts'
import { sealedSecrets, secretLabel } from '../store/secrets.ts'
import { transact } from '../store/transact.ts'
import type { JoinReply, JoinRequest } from '../wire/agent.ts'
import { type Alarm, makeAlarm } from './alarm.ts'
import { heartbeatMsNow, type IntakeDeps } from './context.ts'
import { directTermsFor } from './direct.ts'
import { engineSpecFor, installationFor } from './engine-spec.ts'

export interface Joins {
  /** @throws Failure `join_token_refused` or `node_released`, or why the engine cannot be described any more. */
  join(token: string, request: JoinRequest, peerAddress: string): Promise<JoinReply>
}

// A lost reply is asked for again within seconds; whoever comes later with the same token has found it somewhere.
const repeatMs = 60_000

export function makeJoins(deps: IntakeDeps, alarm: Alarm = makeAlarm(deps)): Joins {
  return { join: (token, request, peerAddress) => joinNode(deps, alarm, token, storable(request), peerAddress) }
}

type Outcome =
  | { readonly kind: 'joined'; readonly node: JoiningNode; readonly work: Work; readonly sealed: Sealed }
  | { readonly kind: 'refused'; readonly why: string; readonly endsNode: boolean }
  | { readonly kind: 'released' }
  | { readonly kind: 'hopeless'; readonly failure: Failure }
type Work = Pick<JoinReply, 'engine' | 'install'>
type Sealed = Awaited<ReturnType<typeof sealedSecrets>>

async function joinNode(
  deps: IntakeDeps,
  alarm: Alarm,
  token: string,
  request: JoinRequest,
  address: string,
): Promise<JoinReply> {
  const nodeId = nodeIdOfToken(token)
  if (nodeId === null || !token.startsWith(tokenPrefixes.join))
    throw new Failure('join_token_refused', 'This is not a join token.')
  const { db } = deps.store
  const now = deps.clock.now()
  const outcome = await transact(db, (tx) => tryJoin(deps, tx, { nodeId, token, request, address, now }))
  // Losing a nudge costs time only, and the agent needs its answer. A stranger's word wakes nobody.
  if (outcome.kind !== 'refused' || outcome.endsNode) await nudge(db, 'node', [nodeId], now).catch(() => undefined)
  if (outcome.kind === 'refused') {
    const detail = { why: outcome.why, instance: request.instance }
    const text = `A join was refused: ${outcome.why}`
    await alarm({ nodeId, kind: 'node.join_refused', text, address, detail })
    throw new Failure('join_token_refused', outcome.why)
  }
  if (outcome.kind === 'released') throw new Failure('node_released', `The node ${nodeId} is not wanted any more.`)
  if (outcome.kind === 'hopeless') throw outcome.failure
  return {
    nodeId,
    credential: credentialFor(deps, nodeId, request.instance),
    ...outcome.work,
    secrets: Object.fromEntries(
      outcome.sealed.map(({ name, sealed }) => [name, deps.vault.open(secretLabel(name), sealed)]),
    ),
    gateways: await livingGateways(db),
    direct: directTermsFor(deps, {
      nodeId,
      machine: outcome.node.name,
      cloud: outcome.node.offer.cloud,
      instance: request.instance,
    }),
    heartbeatMs: await heartbeatMsNow(deps),
    leaseMs: leaseMsOf(deps.settings.leaseMs, nodeId),
    noticeService: noticeServiceOf(outcome.node.offer.cloud),
  }
}

/** Derived, not drawn: when the reply is lost, the same agent is given the same credential again. */
const credentialFor = ({ vault }: IntakeDeps, nodeId: string, instance: string): string =>
  `${tokenPrefixes.node}${nodeId}.${vault.derive(`node:${nodeId}:${instance}`)}`

interface Attempt {
  readonly nodeId: string
  readonly token: string
  readonly request: JoinRequest
  readonly address: string
  readonly now: number
}

async function tryJoin(deps: IntakeDeps, tx: Tx, attempt: Attempt): Promise<Outcome> {
  const { nodeId, request, now } = attempt
  const node = await lockJoining(tx, nodeId)
  const why = whyRefused(node, attempt)
  if (!node || why !== null) {
    const endsNode = node !== null && why === expired && !isGivenBack(node)
    // It has no other token, so it will never join; the machine that called is paid for until it is gone.
    if (endsNode) await saveSeen(tx, node, now)
    if (endsNode) await failNode(tx, node, tooLate(node), now)
    return { kind: 'refused', why: why ?? unknown, endsNode }
  }
  if (isGivenBack(node)) {
    await saveSeen(tx, node, now)
    return { kind: 'released' }
  }
  let work: Work
  try {
    work = { engine: engineSpecFor(deps.settings, node), install: installationFor(deps.settings, node) }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    await saveSeen(tx, node, now)
    await failNode(tx, node, error.record, now)
    return { kind: 'hopeless', failure: error }
  }
  const sealed = await sealedSecrets(tx, node.tenantId)
  const failure = hardwareMismatch(node.offer, request.hardware.gpus)
  await writeJoin(deps, tx, node, attempt, failure)
  const action = node.joinUsedAt === null ? 'node.join' : 'node.join_again'
  const detail = { instance: request.instance, secrets: sealed.map(({ name }) => name) }
  await appendAudit(tx, { who: `node:${nodeId}`, action, target: nodeId, address: attempt.address, detail }, now)
  return { kind: 'joined', node, work, sealed }
}

const isGivenBack = ({ state, unwanted }: JoiningNode): boolean => state === 'releasing' || state === 'gone' || unwanted

const unknown = 'no node has this token.'
const expired = 'the token has expired.'

const tooLate = ({ joinTokenUntil }: JoiningNode): FailureRecord => {
  const until = new Date(joinTokenUntil).toISOString()
  return failureRecord('join_token_expired', `The agent called when its join token had expired, at ${until}.`)
}

/** Why the token does not open the door, in words that give nothing away; null: it does. */
function whyRefused(node: JoiningNode | null, { token, request, now }: Attempt): string | null {
  if (!node || !sameDigest(node.joinTokenHash, sha256(token))) return unknown
  if (node.joinUsedAt !== null) {
    if (node.joinInstance !== request.instance) return 'the token was used before, by another agent.'
    return now > node.joinUsedAt + repeatMs ? 'the token was used before.' : null
  }
  return now > node.joinTokenUntil ? expired : null
}

async function writeJoin(
  deps: IntakeDeps,
  tx: Tx,
  node: JoiningNode,
  { nodeId, request, address, now }: Attempt,
  failure: FailureRecord | null,
): Promise<void> {
  const { hardware, instance, incarnation, agentVersion, protocol } = request
  const credentialHash = sha256(credentialFor(deps, nodeId, instance))
  const told = { ...hardware, instance, incarnation, agentVersion, protocol }
  await saveJoin(tx, node, { ...told, credentialHash, address, failure }, now)
  if (node.joinUsedAt !== null) return
  const gpus = hardware.gpus.length > 0 ? hardware.gpus.map(({ name }) => name).join(', ') : 'no GPU'
  await tellEvent(tx, now, {
    kind: 'node.joined',
    text: `Joined from ${address}: ${hardware.hostname}, ${hardware.cpus} cores, ${gpus}; agent ${agentVersion}.`,
    nodeId,
    launchId: node.launchId,
  })
  await enterPhase(tx, nodeId, 'joined', now)
  if (failure) await tellFailure(tx, node, failure, now)
}

export async function failNode(tx: Tx, node: JoiningNode, failure: FailureRecord, now: number): Promise<void> {
  if (await saveFailure(tx, node.id, failure)) await tellFailure(tx, node, failure, now)
}

const tellFailure = (tx: Tx, node: JoiningNode, failure: FailureRecord, now: number): Promise<void> =>
  tellEvent(tx, now, {
    kind: 'node.failure',
    text: failure.cause,
    nodeId: node.id,
    launchId: node.launchId,
    data: { failure },
  })
