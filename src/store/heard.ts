import { sql } from 'kysely'
import type { FailureRecord } from '../core/failure.ts'
import { type GpuFault, isSameFault, type ToldGpuFault } from '../core/gpu-fault.ts'
import type { NodeState } from '../core/node-table.ts'
import type { Notice } from '../core/notice.ts'
import type { Offer } from '../core/offer.ts'
import { at, type Db, json, type Tx, tell } from './database.ts'
import type { DeliveredGpu } from './tables.ts'

/** A node as far as a message of its agent has to be checked against it and answered. */
export interface KnownNode {
  readonly id: string
  readonly launchId: string
  readonly state: NodeState
  readonly credentialHash: string | null
  readonly incarnation: string | null
  readonly unwanted: boolean
  readonly drainAsked: boolean
  readonly drainDeadlineAt: number | null
  readonly drainedAt: number | null
  readonly notice: Notice | null
  readonly gpuFaults: readonly GpuFault[]
  readonly answeredAt: number | null
  readonly failed: boolean
  readonly offer: Offer
  readonly gpus: readonly DeliveredGpu[]
  readonly agentVersion: string | null
  readonly agentProtocol: number | null
  readonly engineVersion: string | null
  readonly inFlight: number
  readonly engineState: string | null
}

export async function knownNodes(db: Db | Tx, ids: readonly string[]): Promise<Map<string, KnownNode>> {
  const rows = await db
    .selectFrom('nodes as n')
    .leftJoin('signals as s', 's.node_id', 'n.id')
    .select([
      'n.id',
      'n.launch_id as launchId',
      'n.state',
      'n.credential_hash as credentialHash',
      'n.incarnation',
      'n.drain_deadline_at as drainDeadlineAt',
      'n.drained_at as drainedAt',
      'n.notice',
      'n.gpu_faults as gpuFaults',
      'n.answered_at as answeredAt',
      'n.offer',
      'n.gpus',
      'n.agent_version as agentVersion',
      'n.agent_protocol as agentProtocol',
      'n.engine_version as engineVersion',
    ])
    .select([
      sql<boolean>`n.unwanted_at is not null`.as('unwanted'),
      sql<boolean>`n.drain_asked_at is not null`.as('drainAsked'),
      sql<boolean>`n.failure is not null`.as('failed'),
      sql<number>`coalesce(s.in_flight, 0)`.as('inFlight'),
      sql<string | null>`s.heartbeat -> 'engine' ->> 'state'`.as('engineState'),
    ])
    .where('n.id', 'in', ids.length > 0 ? [...ids] : [''])
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}

/** Of signals as `g`: when the agent spoke last, or a gateway found its engine well. */
export const heardAt = sql<number | null>`greatest(g.heard_at, case when g.probe_good then g.probe_at end)`.as(
  'heardAt',
)

export interface Beat {
  readonly nodeId: string
  readonly heartbeat: Record<string, unknown>
  readonly inFlight: number
  readonly busyMs: number
  readonly requests: number
  readonly spareSockets: number
}

/** The last words of many agents in one statement. Busy time and requests never go back: bills are made of them. */
export async function saveBeats(db: Db | Tx, beats: readonly Beat[], now: number): Promise<void> {
  if (beats.length === 0) return
  await sql`insert into signals as s (node_id, heard_at, heartbeat, in_flight, busy_ms, requests, spare_sockets)
    select "nodeId", ${at(now)}::timestamptz, heartbeat, "inFlight", "busyMs", requests, "spareSockets"
    from jsonb_to_recordset(${json(beats)}::jsonb) as b ("nodeId" text, heartbeat jsonb, "inFlight" int, "busyMs" bigint,
      requests bigint, "spareSockets" int)
    order by "nodeId"
    on conflict (node_id) do update set heard_at = greatest(s.heard_at, excluded.heard_at),
      heartbeat = excluded.heartbeat, in_flight = excluded.in_flight, busy_ms = greatest(s.busy_ms, excluded.busy_ms),
      requests = greatest(s.requests, excluded.requests), spare_sockets = excluded.spare_sockets`.execute(db)
}

/** Heard, but with nothing to tell of its load. */
export async function saveHeard(tx: Tx, nodeId: string, now: number): Promise<void> {
  await sql`insert into signals as s (node_id, heard_at) values (${nodeId}, ${at(now)})
    on conflict (node_id) do update set heard_at = greatest(s.heard_at, excluded.heard_at)`.execute(tx)
}

/** A restarted agent takes over, unless another one did so in between. */
export async function saveIncarnation(db: Db | Tx, nodeId: string, from: string | null, to: string): Promise<boolean> {
  const changed = await db
    .updateTable('nodes')
    .set({ incarnation: to })
    .where('id', '=', nodeId)
    .where(sql<boolean>`incarnation is not distinct from ${from}`)
    .returning('id')
    .executeTakeFirst()
  return changed !== undefined
}

/** What is found out about a node while it runs; only what is given is written. */
export interface Findings {
  readonly gpus?: readonly DeliveredGpu[]
  readonly agentVersion?: string
  readonly agentProtocol?: number
  readonly engineVersion?: string
}

export async function saveFindings(db: Db | Tx, nodeId: string, found: Findings): Promise<void> {
  await db
    .updateTable('nodes')
    .set({
      ...(found.gpus && { gpus: json(found.gpus) }),
      ...(found.agentVersion !== undefined && { agent_version: found.agentVersion }),
      ...(found.agentProtocol !== undefined && { agent_protocol: found.agentProtocol }),
      ...(found.engineVersion !== undefined && { engine_version: found.engineVersion }),
    })
    .where('id', '=', nodeId)
    .execute()
}

/** The first time that each of these is told counts; false when it had been told before. Of a notice agents drain at once. */
export const saveDrained = (db: Db | Tx, nodeId: string, now: number): Promise<boolean> =>
  firstTime(
    db,
    sql`update nodes set drained_at = ${at(now)} where id = ${nodeId} and drained_at is null
    and (state = 'draining' or notice is not null) returning id`,
  )

export const saveAnswered = (tx: Tx, nodeId: string, answeredAt: number): Promise<boolean> =>
  firstTime(
    tx,
    sql`update nodes set answered_at = greatest(${at(answeredAt)}, joined_at)
    where id = ${nodeId} and answered_at is null returning id`,
  )

export const saveFailure = (tx: Tx, nodeId: string, failure: FailureRecord): Promise<boolean> =>
  firstTime(
    tx,
    sql`update nodes set failure = ${json(failure)}::jsonb where id = ${nodeId} and failure is null
    and state <> 'gone' returning id`,
  )

// What a machine may have kept for it: an engine that fails in many ways says the same few things.
const mostFaults = 16
// Any number that no other advisory lock of ours uses: whoever tells of a fault counts those that were told before.
const faultLock = 7_306

/** Returns those that had not been told before. */
export async function saveGpuFaults(
  tx: Tx,
  nodeId: string,
  told: readonly ToldGpuFault[],
  guard: (fresh: readonly GpuFault[], fleet: readonly { id: string; gpuFaults: GpuFault[] }[]) => readonly GpuFault[],
  now: number,
): Promise<{ all: GpuFault[]; fresh: readonly GpuFault[] }> {
  await sql`select pg_advisory_xact_lock(${faultLock})`.execute(tx)
  const { gpu_faults: before } = await tx
    .selectFrom('nodes')
    .select('gpu_faults')
    .where('id', '=', nodeId)
    .forUpdate()
    .executeTakeFirstOrThrow()
  const news = told
    .filter((fault) => !before.some((known) => isSameFault(known, fault)))
    .map((fault) => ({ ...fault, toldAt: now }))
    .slice(0, Math.max(0, mostFaults - before.length))
  const fresh = news.length === 0 ? news : guard(news, await fleetFaults(tx, now))
  const all = [...before, ...fresh]
  if (fresh.length > 0)
    await tx
      .updateTable('nodes')
      .set({ gpu_faults: json(all) })
      .where('id', '=', nodeId)
      .execute()
  return { all, fresh }
}

// Each agent looks each 15 s, and an idle machine is gone a second after it told of its fault: what broke lately counts.
const lateMs = 10 * 60_000

/** Who speaks, and who left within the last minutes after telling of a fault. */
async function fleetFaults(tx: Tx, now: number): Promise<{ id: string; gpuFaults: GpuFault[] }[]> {
  const { rows } = await sql<{ id: string; gpuFaults: GpuFault[] }>`
    select id, gpu_faults as "gpuFaults" from nodes where state in ('loading', 'ready', 'draining')
      or (gpu_faults <> '[]' and state_since > ${at(now - lateMs)})`.execute(tx)
  return rows
}

async function firstTime(db: Db | Tx, update: ReturnType<typeof sql>): Promise<boolean> {
  return (await update.execute(db)).rows.length > 0
}

/** Readers of these nodes see something new, though no row of `nodes` changed. */
export const tellOfNodes = (db: Db | Tx, ids: readonly string[]): Promise<void> =>
  tell(
    db,
    ids.map((id) => `node:${id}`),
  )
