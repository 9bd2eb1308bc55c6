import { type RawBuilder, sql } from 'kysely'
import type { FailureRecord } from '../core/failure.ts'
import type { GpuFault } from '../core/gpu-fault.ts'
import type { Said } from '../core/health.ts'
import type { Duty } from '../core/ledger.ts'
import type { NodeState } from '../core/node-table.ts'
import type { Notice } from '../core/notice.ts'
import type { Offer } from '../core/offer.ts'
import type { Verdict } from '../core/verdict-table.ts'
import { at, type Db } from './database.ts'
import { type CostSoFar, costOver } from './read-cost.ts'
import { inDeployment, ofModel, olderThan, oneMore, type PageWish } from './read-page.ts'
import type { DeliveredGpu } from './tables.ts'

/** A node with the last words of its three witnesses and its current phase. Times are epoch ms. */
export interface NodeRow extends CostSoFar {
  readonly id: string
  readonly name: string
  readonly state: NodeState
  readonly stateSince: number
  readonly verdict: Verdict
  readonly verdictRow: string | null
  readonly verdictSince: number | null
  /** Since when another machine is to take its place. */
  readonly replaceAskedAt: number | null
  readonly launchId: string
  readonly deploymentId: string
  readonly deployment: string
  readonly model: string
  readonly engine: string
  readonly offer: Offer
  readonly instanceType: string | null
  readonly spot: boolean
  readonly gpus: DeliveredGpu[]
  readonly agentVersion: string | null
  readonly agentProtocol: number | null
  readonly engineVersion: string | null
  readonly addresses: string[]
  readonly hostname: string | null
  readonly createdAt: number
  readonly askedAt: number | null
  readonly firstSeenAt: number | null
  readonly joinedAt: number | null
  readonly readyAt: number | null
  readonly goneAt: number | null
  readonly unwantedAt: number | null
  readonly drainAskedAt: number | null
  readonly drainDeadlineAt: number | null
  readonly drainedAt: number | null
  readonly holdUntil: number | null
  readonly holdBy: string | null
  readonly pricePerHourMicroUsd: number
  readonly notice: Notice | null
  readonly noticeServiceAnswers: boolean | null
  readonly gpuFaults: readonly GpuFault[]
  readonly failure: FailureRecord | null
  /** What the witnesses said when it was last judged. */
  readonly signalsJudged: Said['signals'] | null
  readonly signalsSince: Said['since'] | null
  readonly heardAt: number | null
  readonly heartbeat: Readonly<Record<string, unknown>> | null
  readonly inFlight: number
  readonly probeAt: number | null
  readonly probeGood: boolean | null
  readonly probeDetail: string | null
  readonly seen: 'present' | 'absent' | 'asked' | null
  readonly seenAt: number | null
  readonly phase: string | null
  readonly phasePercent: number | null
}

/** The page is cut before anything is joined, so that a page costs the same however many nodes there are. */
const nodesOf = (picked: RawBuilder<unknown>): RawBuilder<NodeRow> => sql<NodeRow>`
  select n.id, n.name, n.state, n.state_since as "stateSince", n.verdict, n.verdict_row as "verdictRow",
    n.verdict_since as "verdictSince", n.replace_asked_at as "replaceAskedAt", n.launch_id as "launchId", n.deployment_id as "deploymentId", d.name as deployment,
    d.model, d.engine, n.offer, n.instance_type as "instanceType", n.spot, n.gpus, n.agent_version as "agentVersion",
    n.agent_protocol as "agentProtocol", n.engine_version as "engineVersion", n.addresses, n.hostname, n.created_at as "createdAt", n.asked_at as "askedAt",
    n.first_seen_at as "firstSeenAt", n.joined_at as "joinedAt", n.ready_at as "readyAt", n.gone_at as "goneAt",
    n.unwanted_at as "unwantedAt", n.drain_asked_at as "drainAskedAt",
    n.drain_deadline_at as "drainDeadlineAt", n.drained_at as "drainedAt", n.notice, n.notice_service_answers as "noticeServiceAnswers",
    n.gpu_faults as "gpuFaults", n.hold_until as "holdUntil", n.hold_by as "holdBy",
    n.price_per_hour_micro_usd as "pricePerHourMicroUsd", n.failure, n.signals_judged as "signalsJudged", n.signals_since as "signalsSince", g.heard_at as "heardAt", g.heartbeat,
    coalesce(g.in_flight, 0) as "inFlight", g.probe_at as "probeAt", g.probe_good as "probeGood",
    g.probe_detail as "probeDetail", s.seen, s.at as "seenAt", p.phase, p.percent as "phasePercent",
    cost."closedMicroUsd", cost.open
  from (${picked}) n
  join deployments d on d.id = n.deployment_id
  left join signals g on g.node_id = n.id
  left join sightings s on s.name = n.name
  left join lateral (
    select phase, percent from phases where attempt_id = (select id from attempts where node_id = n.id)
    order by (ended_at is null) desc, started_at desc limit 1) p on true
  left join lateral (${costOver(sql`g.node_id = n.id`)}) cost on true
  order by n.created_at desc, n.id desc`

export interface NodeFilter extends PageWish {
  readonly states: readonly NodeState[] | null
  readonly model?: string | undefined
  readonly deployment?: string | undefined
}

/** Up to one node more than the limit, newest first. */
export async function readNodes(db: Db, tenantId: string, filter: NodeFilter): Promise<NodeRow[]> {
  const { rows } = await nodesOf(sql`
    select * from nodes where tenant_id = ${tenantId} ${olderThan(filter)}
      ${filter.states ? sql`and state = any(${[...filter.states]})` : sql``}
      ${inDeployment(tenantId, filter.deployment)} ${ofModel(tenantId, filter.model)}
    order by created_at desc, id desc limit ${oneMore(filter)}`).execute(db)
  return rows
}

export async function readNode(db: Db, tenantId: string, id: string): Promise<NodeRow | null> {
  const { rows } = await nodesOf(sql`select * from nodes where id = ${id} and tenant_id = ${tenantId}`).execute(db)
  return rows[0] ?? null
}

/** What a fleet shows: everything that is not gone, and what went since `goneAfter`; or, with ids, those of it. */
export async function readFleet(
  db: Db,
  tenantId: string,
  goneAfter: number,
  ids: readonly string[] | null,
): Promise<NodeRow[]> {
  const { rows } = await nodesOf(sql`
    select * from nodes where tenant_id = ${tenantId}
      and (state <> 'gone' or gone_at > ${at(goneAfter)})
      ${ids ? sql`and id = any(${[...ids]})` : sql``}`).execute(db)
  return rows
}

export interface IntervalRow {
  readonly duty: Duty
  readonly openedAt: number
  readonly closedAt: number | null
  readonly pricePerHourMicroUsd: number
  readonly amountMicroUsd: number | null
}

export async function readIntervals(db: Db, nodeId: string): Promise<IntervalRow[]> {
  const { rows } = await sql<IntervalRow>`
    select duty, opened_at as "openedAt", closed_at as "closedAt", price_per_hour_micro_usd as "pricePerHourMicroUsd",
      amount_micro_usd as "amountMicroUsd"
    from ledger where node_id = ${nodeId} order by opened_at, id`.execute(db)
  return rows
}
