import { sql } from 'kysely'
import type { NodeDecision, NodeView } from '../core/decide-node.ts'
import type { FailureRecord } from '../core/failure.ts'
import { letsGo } from '../core/guard.ts'
import { formatUsd } from '../core/money.ts'
import type { NodeState } from '../core/node-table.ts'
import { wasFree } from '../core/notice.ts'
import type { Offer } from '../core/offer.ts'
import { type Phase, phaseOfStates } from '../core/phases.ts'
import { randomName, sha256 } from '../lib/chance.ts'
import { type Claim, enrol, holds, nudge } from './claims.ts'
import { at, type Db, json, maybeAt, maybeJson, type Tx } from './database.ts'
import { tellEvent } from './events.ts'
import { loadGuard } from './guard.ts'
import { heardAt } from './heard.ts'
import { correctLedger, settleLedger } from './ledger.ts'
import { endPhases, enterPhase } from './phases.ts'
import { standingOfSlot } from './slots.ts'
import { transact } from './transact.ts'

export interface NodeForLoop {
  readonly id: string
  readonly name: string
  readonly cloud: string
  readonly launchId: string
  readonly deploymentId: string
  readonly offer: Offer
  readonly view: NodeView
}

/** A node with everything that is known of it: its row, the last sighting of its name, the last word of its agent. */
export async function loadNode(
  db: Db,
  nodeId: string,
  { watchedSince, silentAfterMs }: Pick<NodeView, 'watchedSince' | 'silentAfterMs'>,
): Promise<NodeForLoop | null> {
  const row = await db
    .selectFrom('nodes as n')
    .innerJoin('deployments as d', 'd.id', 'n.deployment_id')
    .leftJoin('sightings as s', 's.name', 'n.name')
    .leftJoin('signals as g', 'g.node_id', 'n.id')
    .selectAll('n')
    .select(['d.paused', 's.seen', 's.at as seen_at', 's.absent_since'])
    .select(heardAt)
    .select(sql<string | null>`s.detail ->> 'ended'`.as('ended'))
    .where('n.id', '=', nodeId)
    .executeTakeFirst()
  if (!row) return null
  const sighting =
    row.seen === null || row.seen_at === null
      ? null
      : { seen: row.seen, at: row.seen_at, absentSince: row.absent_since, ended: row.ended }
  const view: NodeView = {
    state: row.state,
    stateSince: row.state_since,
    placed: true,
    unwantedAt: row.unwanted_at,
    drainAskedAt: row.drain_asked_at,
    drainDeadlineAt: row.drain_deadline_at,
    drainedAt: row.drained_at,
    holdUntil: row.hold_until,
    askedAt: row.asked_at,
    askOpen: row.ask_open,
    queuedUntil: row.queued_until,
    refusal: row.refusal,
    sighting,
    firstSeenAt: row.first_seen_at,
    joinedAt: row.joined_at,
    answeredAt: row.answered_at,
    heardAt: row.heardAt,
    silentAfterMs,
    failure: row.failure,
    spot: row.spot,
    notice: row.notice,
    gpuFaults: row.gpu_faults,
    verdict: row.verdict,
    watchedSince,
    paused: row.paused,
    // Asked only where it can matter: it is two more statements for every pass over every node.
    mayRelease: row.verdict !== 'dead' || (await mayRelease(db, row.launch_id)),
  }
  const { id, name, cloud, launch_id: launchId, deployment_id: deploymentId, offer } = row
  return { id, name, cloud, launchId, deploymentId, offer, view }
}

/** The guard's word on a node that is dead. */
async function mayRelease(db: Db | Tx, launchId: string): Promise<boolean> {
  const guard = await loadGuard(db)
  if (guard === null) return true
  const { slot_id: slotId } = await db
    .selectFrom('launches')
    .select('slot_id')
    .where('id', '=', launchId)
    .executeTakeFirstOrThrow()
  return letsGo(guard.kind, (await standingOfSlot(db, slotId, launchId)) === 'served')
}

/**
 * Writes one step of a node with everything that hangs on it: the ledger, its phases, its timeline, the nudge of its
 * launch. False when the claim is no longer ours: then nothing was written.
 */
export async function saveNodeDecision(
  db: Db,
  claim: Claim,
  node: NodeForLoop,
  decision: NodeDecision,
  now: number,
): Promise<boolean> {
  const { view } = node
  const moved = decision.state !== view.state
  const seenAt = view.sighting?.seen === 'present' ? view.sighting.at : null
  // Nothing to write needs no fence: the ask for a machine has its own, and an end may be asked for by anybody.
  if (!moved && (view.firstSeenAt !== null || seenAt === null)) return true
  const saved = await transact(db, async (tx) => {
    if (!(await holds(tx, claim))) return false
    // The guard may have begun to hold since we looked, or what serves in its place may be accused by now.
    if (decision.fact === 'dead' && !(await mayRelease(tx, node.launchId))) return false
    // An agent may have joined or failed since we looked: its word is kept, and so is the bill that it opened.
    const { first_seen_at: seenBefore } = await tx
      .selectFrom('nodes')
      .select('first_seen_at')
      .where('id', '=', node.id)
      .forUpdate()
      .executeTakeFirstOrThrow()
    const firstSeenAt = seenBefore ?? seenAt
    await tx
      .updateTable('nodes')
      .set({ state: decision.state, first_seen_at: maybeAt(firstSeenAt) })
      .set({ failure: sql`coalesce(failure, ${maybeJson(decision.failure)}::jsonb)` })
      .$if(moved, (q) => q.set({ state_since: at(now) }))
      .$if(moved && decision.state === 'ready', (q) => q.set({ ready_at: sql`coalesce(ready_at, ${at(now)})` }))
      .$if(moved, (q) => q.set({ gone_at: decision.state === 'gone' ? at(now) : null }))
      .where('id', '=', node.id)
      .execute()
    await settleLedger(tx, { id: node.id, state: decision.state, firstSeenAt }, now)
    if (moved) await tellOfStep(tx, node, decision, now)
    if (moved) await settleFreeHour(tx, node, decision, now)
    return true
  })
  if (!saved || !moved) return saved
  // After the commit: other transactions hold these rows while they wait for ours, and a lost nudge costs time only.
  await nudge(db, 'launch', [node.launchId], now)
  await nudge(db, 'sight', [node.cloud], now)
  // Its replacement may not be needed any more, and every second of it may cost.
  if (decision.fact === 'notice_withdrawn') await nudge(db, 'deployment', [node.deploymentId], now)
  return true
}

/** What a cloud does not charge for is taken back out of the ledger, and put there again when the machine was not gone. */
async function settleFreeHour(
  tx: Tx,
  { id: nodeId, launchId, view }: NodeForLoop,
  { fact, state }: NodeDecision,
  now: number,
) {
  if (view.state === 'gone')
    await correctLedger(tx, nodeId, { of: 'correction', note: 'The machine was not gone, so it is charged for.' }, now)
  const endedByUs = fact !== 'vanished' || view.state === 'releasing' || view.unwantedAt !== null
  const absentSince = view.sighting?.absentSince ?? null
  if (state !== 'gone' || !wasFree({ ...view, absentSince, endedByUs })) return
  const note = 'EC2 took the spot machine within its first hour, which AWS does not charge for.'
  const amount = await correctLedger(tx, nodeId, { of: 'usage', note }, now)
  const text = `${note} ${formatUsd(-amount)} is taken back in the ledger.`
  await tellEvent(tx, now, { kind: 'node.free', text, nodeId, launchId })
}

async function tellOfStep(tx: Tx, node: NodeForLoop, decision: NodeDecision, now: number): Promise<void> {
  const phase = phaseFor(decision.state)
  if (phase) await enterPhase(tx, node.id, phase, now)
  else await endPhases(tx, node.id, now)
  const why = decision.failure && decision.state !== 'ready' ? ` ${decision.failure.cause}` : ''
  await tellEvent(tx, now, {
    kind: `node.${decision.state}`,
    text: `${node.view.state} -> ${decision.state} (${decision.fact}).${why}`,
    nodeId: node.id,
    launchId: node.launchId,
  })
}

function phaseFor(state: NodeState): Phase | null {
  const starting = state === 'requesting' || state === 'booting' || state === 'loading'
  return starting ? phaseOfStates('attempting', state) : null
}

/** "We are asking now": kept before the ask, so that a crash between the two is seen as an outcome that is unknown. */
export async function openAsk(db: Db, claim: Claim, nodeId: string, now: number): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    if (!(await holds(tx, claim))) return false
    await tx
      .updateTable('nodes')
      .set({ asked_at: at(now), ask_open: true })
      .where('id', '=', nodeId)
      .execute()
    return true
  })
}

/** The answer to an ask. It is true whoever holds the claim by now, so it is written without one. */
export async function closeAsk(db: Db, nodeId: string, refusal: FailureRecord | null, now: number): Promise<void> {
  await db
    .updateTable('nodes')
    .set({ ask_open: false, refusal: maybeJson(refusal) })
    .where('id', '=', nodeId)
    .execute()
  if (refusal) await tellEvent(db, now, { kind: 'node.refused', text: refusal.cause, nodeId })
}

export interface NewNode {
  readonly install: string
  readonly launchId: string
  readonly tenantId: string
  readonly deploymentId: string
  readonly offer: Offer
  readonly ordinal: number
  readonly joinTokenUntil: number
  readonly joinTokenFor: (nodeId: string) => string
}

/** An attempt and its one node, intended only: no cloud knows of it yet. The name is used once and never again. */
export async function openAttempt(tx: Tx, wanted: NewNode, now: number): Promise<string> {
  const id = `no-${randomName(10)}`
  const { offer } = wanted
  await tx
    .insertInto('nodes')
    .values({
      id,
      name: `fd-${wanted.install}-${id.slice(3)}`,
      tenant_id: wanted.tenantId,
      launch_id: wanted.launchId,
      deployment_id: wanted.deploymentId,
      state: 'intended',
      state_since: at(now),
      cloud: offer.cloud,
      region: offer.region,
      offer: json(offer),
      price_per_hour_micro_usd: offer.pricePerHourMicroUsd,
      created_at: at(now),
      join_token_hash: sha256(wanted.joinTokenFor(id)),
      join_token_until: at(wanted.joinTokenUntil),
      spot: offer.spot,
      instance_type: offer.instanceType ?? null,
    })
    .execute()
  await tx
    .insertInto('attempts')
    .values({
      id: `at-${randomName(10)}`,
      launch_id: wanted.launchId,
      node_id: id,
      ordinal: wanted.ordinal,
      offer: json(offer),
      opened_at: at(now),
    })
    .execute()
  await tx.insertInto('signals').values({ node_id: id }).execute()
  await enrol(tx, 'node', id, now, offer.cloud)
  return id
}
