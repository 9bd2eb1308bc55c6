import { type RawBuilder, sql } from 'kysely'
import type { EngineArguments } from '../core/engine-presets.ts'
import type { FailureRecord } from '../core/failure.ts'
import type { LaunchState } from '../core/launch-table.ts'
import type { TriedFor } from '../core/launch-time.ts'
import type { NodeState } from '../core/node-table.ts'
import type { Offer, RankedOffer, Wish } from '../core/offer.ts'
import { at, type Db } from './database.ts'
import { type CostSoFar, costOver } from './read-cost.ts'
import { inDeployment, ofModel, olderThan, oneMore, type PageWish } from './read-page.ts'

/** A launch with its current attempt and that one's current phase. Times are epoch ms. */
export interface LaunchRow extends CostSoFar {
  readonly id: string
  readonly state: LaunchState
  readonly stateSince: number
  readonly deploymentId: string
  readonly deployment: string
  readonly slot: number
  readonly model: string
  readonly engine: string
  readonly origin: 'hand' | 'deployment'
  readonly requestedBy: string
  readonly createdAt: number
  readonly limitMs: number
  readonly waitsCount: boolean
  readonly tried: readonly TriedFor[]
  readonly endedAt: number | null
  readonly liveAt: number | null
  readonly unwantedAt: number | null
  readonly unwantedBy: string | null
  readonly failure: FailureRecord | null
  readonly nodeId: string | null
  readonly nodeState: NodeState | null
  readonly cloud: string | null
  readonly phase: string | null
  readonly phaseStartedAt: number | null
  readonly phaseEndedAt: number | null
  readonly phasePercent: number | null
  readonly wish: Wish
  readonly timeLimitS: number | null
  readonly concurrency: number | null
  readonly offers: readonly RankedOffer[]
  readonly engineArgs: EngineArguments
}

const nodesOfLaunch = sql`g.node_id in (select id from nodes where launch_id = l.id)`

/** The page is cut before anything is joined, so that a page costs the same however many launches there are. */
const launchesOf = (picked: RawBuilder<unknown>): RawBuilder<LaunchRow> => sql<LaunchRow>`
  select l.id, l.state, l.state_since as "stateSince", l.deployment_id as "deploymentId", d.name as deployment,
    s.ordinal as slot, d.model, d.engine, l.origin, l.requested_by as "requestedBy", l.created_at as "createdAt",
    (extract(epoch from l.deadline_at - l.created_at) * 1000)::float8 as "limitMs", l.waits_count as "waitsCount", coalesce(t.tried, '[]') as tried, l.ended_at as "endedAt", l.live_at as "liveAt", l.unwanted_at as "unwantedAt", l.unwanted_by as "unwantedBy",
    l.failure, a.node_id as "nodeId", a.state as "nodeState", a.cloud, p.phase, p.started_at as "phaseStartedAt",
    p.ended_at as "phaseEndedAt", p.percent as "phasePercent", l.wish, l.offers,
    l.time_limit_s as "timeLimitS", l.concurrency, d.engine_args as "engineArgs",
    cost."closedMicroUsd", cost.open
  from (${picked}) l
  join deployments d on d.id = l.deployment_id
  join slots s on s.id = l.slot_id
  left join lateral (
    select a.id, a.node_id, n.state, n.cloud from attempts a join nodes n on n.id = a.node_id
    where a.launch_id = l.id order by a.ordinal desc limit 1) a on true
  left join lateral (
    select phase, started_at, ended_at, percent from phases where attempt_id = a.id
    order by (ended_at is null) desc, started_at desc limit 1) p on true
  left join lateral (
    select json_agg(json_build_object('openedAt', extract(epoch from a.opened_at) * 1000,
      'closedAt', extract(epoch from a.closed_at) * 1000, 'askedAt', extract(epoch from n.asked_at) * 1000,
      'queuedUntil', extract(epoch from n.queued_until) * 1000) order by a.ordinal) as tried
    from attempts a join nodes n on n.id = a.node_id where a.launch_id = l.id and not l.waits_count) t on true
  left join lateral (${costOver(nodesOfLaunch)}) cost on true
  order by l.created_at desc, l.id desc`

export interface LaunchFilter extends PageWish {
  readonly states: readonly LaunchState[] | null
  readonly model?: string | undefined
  readonly deployment?: string | undefined
}

/** Up to one launch more than the limit, newest first. */
export async function readLaunches(db: Db, tenantId: string, filter: LaunchFilter): Promise<LaunchRow[]> {
  const { rows } = await launchesOf(sql`
    select * from launches where tenant_id = ${tenantId} ${olderThan(filter)}
      ${filter.states ? sql`and state = any(${[...filter.states]})` : sql``}
      ${inDeployment(tenantId, filter.deployment)} ${ofModel(tenantId, filter.model)}
    order by created_at desc, id desc limit ${oneMore(filter)}`).execute(db)
  return rows
}

export async function readLaunch(db: Db, tenantId: string, id: string): Promise<LaunchRow | null> {
  const { rows } = await launchesOf(sql`select * from launches where id = ${id} and tenant_id = ${tenantId}`).execute(
    db,
  )
  return rows[0] ?? null
}

export interface AttemptRow extends CostSoFar {
  readonly id: string
  readonly ordinal: number
  readonly offer: Offer
  readonly nodeId: string
  readonly nodeName: string
  readonly nodeState: NodeState
  readonly openedAt: number
  readonly closedAt: number | null
  readonly outcome: 'served' | 'failed' | 'withdrawn' | null
  readonly failure: FailureRecord | null
  readonly phases: readonly PhaseRow[]
  readonly steps: readonly StepRow[]
}

/** What the cloud worked on, and since when. */
export interface StepRow {
  readonly text: string
  readonly startedAt: number
}

export interface PhaseRow {
  readonly phase: string
  readonly startedAt: number
  readonly endedAt: number | null
  readonly percent: number | null
  readonly bytes: number | null
  readonly bytesPerS: number | null
}

/** The attempts of a launch in their order, each with its phases and its cost. */
export async function readAttempts(db: Db, launchId: string): Promise<AttemptRow[]> {
  const { rows } = await sql<AttemptRow>`
    select a.id, a.ordinal, a.offer, a.node_id as "nodeId", n.name as "nodeName", n.state as "nodeState",
      a.opened_at as "openedAt", a.closed_at as "closedAt", a.outcome, coalesce(a.failure, n.failure) as failure,
      cost."closedMicroUsd", cost.open, coalesce(p.phases, '[]') as phases,
      coalesce(s.steps, '[]') as steps
    from attempts a join nodes n on n.id = a.node_id
    left join lateral (${costOver(sql`g.node_id = a.node_id`)}) cost on true
    left join lateral (
      select json_agg(json_build_object('phase', phase, 'startedAt', extract(epoch from started_at) * 1000,
        'endedAt', extract(epoch from ended_at) * 1000, 'percent', percent, 'bytes', bytes,
        'bytesPerS', bytes_per_s) order by started_at, ended_at) as phases
      from phases where attempt_id = a.id) p on true
    left join lateral (
      select json_agg(json_build_object('text', text, 'startedAt', extract(epoch from at) * 1000) order by at, n) as steps
      from steps where attempt_id = a.id) s on true
    where a.launch_id = ${launchId} order by a.ordinal`.execute(db)
  return rows
}

export interface LastFailure {
  readonly cloud: string
  readonly region: string
  readonly gpu: string | null
  readonly spot: boolean
  readonly at: number
  readonly launchId: string
  readonly failure: FailureRecord
}

/** For each place where an attempt failed since then, the last one. */
export async function readLastFailures(db: Db, tenantId: string, since: number): Promise<LastFailure[]> {
  const { rows } = await sql<LastFailure>`
    select distinct on (n.cloud, n.region, a.offer ->> 'gpu', n.spot) n.cloud, n.region, a.offer ->> 'gpu' as gpu, n.spot,
      a.closed_at as at, a.launch_id as "launchId", coalesce(a.failure, n.failure) as failure
    from attempts a join nodes n on n.id = a.node_id
    where a.outcome = 'failed' and a.closed_at > ${at(since)} and n.tenant_id = ${tenantId}
      and coalesce(a.failure, n.failure) is not null
    order by n.cloud, n.region, a.offer ->> 'gpu', n.spot, a.closed_at desc`.execute(db)
  return rows
}

export interface PastPhase {
  readonly cloud: string
  readonly engine: string
  readonly model: string
  readonly phase: string
  readonly medianMs: number
}

// Enough for a median, and a bound on what one look costs.
const pastAttempts = 1_000

/** How long each phase took in the attempts that got ready: the median for each cloud, engine and model. */
export async function readPastPhases(db: Db): Promise<PastPhase[]> {
  const { rows } = await sql<PastPhase>`
    select n.cloud, d.engine, d.model, p.phase, (1000 * percentile_cont(0.5) within group (
      order by extract(epoch from p.ended_at - p.started_at)))::float8 as "medianMs"
    from (select * from nodes where ready_at is not null order by created_at desc limit ${pastAttempts}) n
    join attempts a on a.node_id = n.id join phases p on p.attempt_id = a.id
    join deployments d on d.id = n.deployment_id
    where p.ended_at is not null group by n.cloud, d.engine, d.model, p.phase`.execute(db)
  return rows
}
