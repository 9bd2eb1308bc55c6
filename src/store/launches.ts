import { sql } from 'kysely'
import type { LaunchDecision, LaunchView } from '../core/decide-launch.ts'
import type { OwnModel } from '../core/engine-command.ts'
import type { EngineArguments } from '../core/engine-presets.ts'
import { isOver, type LaunchOutcome, type LaunchState } from '../core/launch-table.ts'
import { deadlineFrom, deadlineOf, type LaunchTime, type TriedFor } from '../core/launch-time.ts'
import type { RankedOffer, Wish } from '../core/offer.ts'
import { fullServerOf, type QueueLimits } from '../core/queue.ts'
import { randomName } from '../lib/chance.ts'
import { type Claim, enrol, holds, nudge } from './claims.ts'
import { at, type Db, json, maybeJson, type Tx } from './database.ts'
import { tellEvent } from './events.ts'
import { settleCounters } from './launch-counters.ts'
import { ownModelIn } from './model-source.ts'
import { openAttempt } from './nodes.ts'
import { lookAtQueue } from './queue.ts'
import { freeSlot, isStillFree, othersOfSlot, standingOfSlot } from './slots.ts'
import { transact } from './transact.ts'

export interface NewLaunch {
  readonly tenantId: string
  readonly deploymentId: string
  readonly origin: 'hand' | 'deployment'
  readonly requestedBy: string
  readonly wish: Wish
  /** As they were asked for, where somebody did. */
  readonly timeLimitS?: number | null | undefined
  readonly concurrency?: number | null | undefined
  /** In ranked order; an attempt is made at one of them. */
  readonly offers: readonly RankedOffer[]
  readonly time: LaunchTime
  readonly idempotencyKey?: string | null
  readonly requestHash?: string | null
}

/**
 * Writes a queued launch that holds the lowest free slot of its deployment, and puts it under the launch loop's care.
 * The caller holds the deployment's row, so two callers cannot take one slot; the unique index is the last word.
 */
export async function openLaunch(tx: Tx, launch: NewLaunch, now: number): Promise<string> {
  const id = `la-${randomName(10)}`
  const slotId = await freeSlot(tx, launch.deploymentId)
  await tx
    .insertInto('launches')
    .values({
      id,
      tenant_id: launch.tenantId,
      deployment_id: launch.deploymentId,
      slot_id: slotId,
      state: 'queued',
      state_since: at(now),
      origin: launch.origin,
      requested_by: launch.requestedBy,
      idempotency_key: launch.idempotencyKey ?? null,
      request_hash: launch.requestHash ?? null,
      wish: json(launch.wish),
      time_limit_s: launch.timeLimitS ?? null,
      concurrency: launch.concurrency ?? null,
      offers: json(launch.offers),
      created_at: at(now),
      deadline_at: at(now + launch.time.limitMs),
      waits_count: launch.time.waitsCount,
    })
    .execute()
  const by = launch.origin === 'hand' ? launch.requestedBy : 'the deployment loop'
  await tellEvent(tx, now, {
    kind: 'launch.queued',
    text: `Queued by ${by}.`,
    launchId: id,
    deploymentId: launch.deploymentId,
  })
  await enrol(tx, 'launch', id, now)
  return id
}

export interface LaunchForLoop {
  readonly id: string
  readonly tenantId: string
  readonly deploymentId: string
  readonly origin: 'hand' | 'deployment'
  readonly requestedBy: string
  readonly createdAt: number
  /** When its time is up as things stand, as in its view. */
  readonly deadlineAt: number | null
  readonly time: LaunchTime
  readonly tried: readonly TriedFor[]
  readonly wasLive: boolean
  readonly holdsSlot: boolean
  readonly slotId: string
  readonly model: string
  readonly own: OwnModel | null
  readonly engineArgs: EngineArguments
  readonly wish: Wish
  readonly offers: readonly RankedOffer[]
  readonly attemptIds: readonly string[]
  readonly view: LaunchView
}

/** A launch with its attempts and their nodes as they are now. Whether the queue admits it is asked apart. */
export async function loadLaunch(db: Db, launchId: string): Promise<LaunchForLoop | null> {
  const row = await db
    .selectFrom('launches as l')
    .innerJoin('deployments as d', 'd.id', 'l.deployment_id')
    .selectAll('l')
    .select(['d.model', 'd.engine', 'd.source', 'd.engine_args'])
    .select(sql<boolean>`d.paused or exists (select from install where guard is not null)`.as('keepsReplaced'))
    .where('l.id', '=', launchId)
    .executeTakeFirst()
  if (!row) return null
  const attempts = await attemptsOf(db, launchId)
  const time = { limitMs: row.deadline_at - row.created_at, waitsCount: row.waits_count }
  const deadlineAt = deadlineOf(row.created_at, time, attempts)
  const view: LaunchView = {
    state: row.state,
    stateSince: row.state_since,
    outcome: row.outcome,
    unwantedAt: row.unwanted_at,
    unwantedOutcome: row.unwanted_outcome ?? 'ended',
    deadlineAt,
    offerClouds: row.offers.map(({ cloud }) => cloud),
    fullClouds: new Set(),
    attempts: attempts.map((attempt) => ({
      closedAt: attempt.closedAt,
      nodeState: attempt.state,
      nodeStateSince: attempt.state_since,
      nodeReadyAt: attempt.ready_at,
      drainAsked: attempt.drain_asked_at !== null,
      replaceAsked: attempt.replace_asked_at !== null,
      failure: attempt.failure,
    })),
    admitted: false,
    slot: row.holds_slot ? 'ours' : await standingOfSlot(db, row.slot_id, launchId),
    failure: row.failure,
    keepsReplaced: row.keepsReplaced,
  }
  return {
    id: row.id,
    tenantId: row.tenant_id,
    deploymentId: row.deployment_id,
    origin: row.origin,
    requestedBy: row.requested_by,
    createdAt: row.created_at,
    deadlineAt,
    time,
    tried: attempts,
    wasLive: row.live_at !== null,
    holdsSlot: row.holds_slot,
    slotId: row.slot_id,
    model: row.model,
    own: ownModelIn(row),
    engineArgs: row.engine_args,
    wish: row.wish,
    offers: row.offers,
    attemptIds: attempts.map(({ id }) => id),
    view,
  }
}

/** In their order, with their nodes as they are now. */
const attemptsOf = (db: Db, launchId: string) =>
  db
    .selectFrom('attempts as a')
    .innerJoin('nodes as n', 'n.id', 'a.node_id')
    .select(['a.id', 'a.opened_at as openedAt', 'a.closed_at as closedAt'])
    .select(['n.asked_at as askedAt', 'n.queued_until as queuedUntil'])
    .select(['n.state', 'n.state_since', 'n.ready_at', 'n.drain_asked_at', 'n.failure'])
    .select('n.replace_asked_at')
    .where('a.launch_id', '=', launchId)
    .orderBy('a.ordinal')
    .execute()

export interface AttemptTerms {
  readonly install: string
  readonly limits: QueueLimits
  readonly joinTokenMs: number
  readonly joinTokenFor: (nodeId: string) => string
}

// Any number that no other advisory lock of ours uses: admissions are counted and made one at a time.
const admissionLock = 7_301

/** Rows to be woken once a step is committed, by loop. */
type Wakes = [loop: string, rowIds: readonly string[]][]

/**
 * Writes one step of a launch with everything that hangs on it: a new attempt, withdrawn nodes, the deployment's
 * counters, the timeline. False when the claim is no longer ours, the queue has filled, or somebody withdrew it meanwhile.
 */
export async function saveLaunchDecision(
  db: Db,
  claim: Claim,
  launch: LaunchForLoop,
  decision: LaunchDecision,
  terms: AttemptTerms,
  now: number,
): Promise<boolean> {
  // Nothing to write needs no fence.
  if (isRest(launch, decision)) return true
  const wakes = await transact(db, async (tx): Promise<Wakes | null> => {
    if (decision.openAttemptAt !== null && !(await stillAdmits(tx, launch, decision, terms.limits))) return null
    if (!(await holds(tx, claim)) || !(await mayHold(tx, launch, decision))) return null
    if (!(await isAsSeen(tx, launch))) return null
    if (decision.closeAttempt) await closeAttempt(tx, launch, decision, now)
    if (decision.openAttemptAt !== null) await openNext(tx, launch, decision.openAttemptAt, terms, now)
    const withdrawn = decision.withdrawNodes ? await withdrawNodes(tx, launch.id, decision.outcome, now) : []
    const moved = decision.state !== launch.view.state
    if (moved || decision.holdsSlot !== launch.holdsSlot) await writeStep(tx, launch, decision, now)
    const queue = moved ? await tellOfStep(tx, launch, decision, now) : []
    const changed = moved || decision.holdsSlot !== launch.holdsSlot
    const changesSlot = decision.holdsSlot !== launch.holdsSlot || (moved && !isFlying(decision.state))
    return [
      ['node', withdrawn],
      ['launch', changed ? [...queue, ...(await othersOfSlot(tx, launch))] : queue],
      ['deployment', changesSlot ? [launch.deploymentId] : []],
    ]
  })
  // After the commit: other transactions hold these rows while they wait for ours, and a lost nudge costs time only.
  for (const [loop, rowIds] of wakes ?? []) await nudge(db, loop, rowIds, now)
  return wakes !== null
}

const isRest = ({ view, holdsSlot }: LaunchForLoop, next: LaunchDecision): boolean =>
  next.state === view.state &&
  next.holdsSlot === holdsSlot &&
  next.openAttemptAt === null &&
  !next.closeAttempt &&
  !next.withdrawNodes

/** A withdrawal since we looked is decided on anew: written over it, what we decided would take it back unseen. */
async function isAsSeen(tx: Tx, { id, view }: LaunchForLoop): Promise<boolean> {
  const row = await tx.selectFrom('launches').select('unwanted_at').where('id', '=', id).forUpdate().executeTakeFirst()
  return row?.unwanted_at === view.unwantedAt
}

/** A slot that was given up for a notice is taken back only where nobody holds it by now. */
const mayHold = async (tx: Tx, launch: LaunchForLoop, { holdsSlot }: LaunchDecision): Promise<boolean> =>
  launch.holdsSlot || !holdsSlot || isStillFree(tx, launch)

const isFlying = (state: LaunchState): boolean => state === 'attempting' || state === 'backing_off'

async function writeStep(tx: Tx, launch: LaunchForLoop, decision: LaunchDecision, now: number): Promise<void> {
  const moved = decision.state !== launch.view.state
  await tx
    .updateTable('launches')
    .set({
      state: decision.state,
      outcome: decision.outcome,
      holds_slot: decision.holdsSlot,
      failure: maybeJson(decision.failure),
    })
    .$if(moved, (q) => q.set({ state_since: at(now) }))
    // They were ranked anew for the moment that trying begins, and each takes its own time.
    .$if(decision.fact === 'admitted', (q) =>
      q.set({ offers: json(launch.offers), deadline_at: at(launch.createdAt + launch.time.limitMs) }),
    )
    .$if(moved && decision.state === 'live', (q) => q.set({ live_at: at(now) }))
    .$if(moved && isOver(decision.state), (q) => q.set({ ended_at: at(now) }))
    .where('id', '=', launch.id)
    .execute()
}

/** Counted again where no other launch can be admitted at the same time. */
async function stillAdmits(
  tx: Tx,
  { offers }: LaunchForLoop,
  { fact, openAttemptAt }: LaunchDecision,
  limits: QueueLimits,
): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(${admissionLock})`.execute(tx)
  const load = await lookAtQueue(tx)
  const cloud = offers[openAttemptAt ?? 0]?.cloud ?? null
  const hasTurn = fact !== 'admitted' || load.inFlight < limits.attemptsInFlight
  return hasTurn && fullServerOf(cloud, load, limits) === null
}

async function closeAttempt(tx: Tx, launch: LaunchForLoop, decision: LaunchDecision, now: number): Promise<void> {
  const attempt = launch.view.attempts.at(-1)
  const id = launch.attemptIds.at(-1)
  if (!attempt || !id) return
  const withdrawn = decision.outcome === 'cancelled' || decision.outcome === 'ended'
  const outcome = attempt.nodeReadyAt !== null ? 'served' : withdrawn ? 'withdrawn' : 'failed'
  await tx
    .updateTable('attempts')
    .set({ closed_at: at(now), outcome, failure: maybeJson(attempt.failure) })
    .where('id', '=', id)
    .execute()
}

async function openNext(
  tx: Tx,
  launch: LaunchForLoop,
  offerIndex: number,
  terms: AttemptTerms,
  now: number,
): Promise<void> {
  const ranked = launch.offers[offerIndex]
  if (!ranked) throw new Error(`launch ${launch.id} has no offer ${offerIndex}`)
  const { standing: _, ...offer } = ranked
  const upAt = deadlineFrom(launch.createdAt, launch.time, launch.tried, now)
  await openAttempt(
    tx,
    {
      install: terms.install,
      launchId: launch.id,
      tenantId: launch.tenantId,
      deploymentId: launch.deploymentId,
      offer,
      ordinal: launch.attemptIds.length + 1,
      joinTokenUntil: Math.max(upAt, now + terms.joinTokenMs),
      joinTokenFor: terms.joinTokenFor,
    },
    now,
  )
}

async function withdrawNodes(tx: Tx, launchId: string, outcome: LaunchOutcome | null, now: number): Promise<string[]> {
  const withdrawn = await tx
    .updateTable('nodes')
    .set({ unwanted_at: at(now) })
    .where('launch_id', '=', launchId)
    .where('state', 'not in', outcome === 'cancelled' ? ['releasing', 'gone'] : ['held', 'releasing', 'gone'])
    .where('unwanted_at', 'is', null)
    .returning('id')
    .execute()
  return withdrawn.map(({ id }) => id)
}

/** Returns the queued launches that may be admitted now. */
async function tellOfStep(tx: Tx, launch: LaunchForLoop, decision: LaunchDecision, now: number): Promise<string[]> {
  const why = decision.failure && decision.state !== 'live' ? ` ${decision.failure.cause}` : ''
  await tellEvent(tx, now, {
    kind: `launch.${decision.state}`,
    text: `${launch.view.state} -> ${decision.state} (${decision.fact}).${why}`,
    launchId: launch.id,
    deploymentId: launch.deploymentId,
    ...(decision.failure ? { data: { failure: decision.failure } } : {}),
  })
  await settleCounters(tx, launch, decision, now)
  return isFlying(launch.view.state) && !isFlying(decision.state) ? headOfQueue(tx) : []
}

async function headOfQueue(tx: Tx): Promise<string[]> {
  const queued = await tx
    .selectFrom('launches')
    .select('id')
    .where('state', '=', 'queued')
    .orderBy('created_at')
    .limit(50)
    .execute()
  return queued.map(({ id }) => id)
}
