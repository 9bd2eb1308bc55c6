import { type RawBuilder, sql } from 'kysely'
import { at, type Db } from './database.ts'

export interface SampleWish {
  readonly spanS: number
  readonly from: number
  readonly to: number
}

export interface NodeSample {
  readonly at: number
  readonly inFlight: number
  readonly waiting: number | null
  readonly kvPercent: number | null
  readonly gpuPercent: number | null
  readonly gpuUsedMib: number | null
}

// One look-up for each moment: moments come first in the key, so that writing is cheap.
const moments = ({ spanS, from, to }: SampleWish) =>
  sql`generate_series(date_bin(make_interval(secs => ${spanS}), ${at(from)}::timestamptz, 'epoch'), ${at(to)}::timestamptz,
    make_interval(secs => ${spanS})) as m (at)`

export async function readNodeSamples(db: Db, nodeId: string, wish: SampleWish): Promise<NodeSample[]> {
  const { rows } = await sql<NodeSample>`
    select s.at, in_flight as "inFlight", waiting, kv_percent as "kvPercent", gpu_percent as "gpuPercent",
      gpu_used_mib as "gpuUsedMib"
    from ${moments(wish)} join node_samples s on s.span_s = ${wish.spanS} and s.at = m.at and s.node_id = ${nodeId}
    order by s.at`.execute(db)
  return rows
}

export interface DeploymentSample {
  readonly at: number
  readonly wanted: number
  readonly ready: number
  readonly inFlight: number
  readonly waiting: number | null
}

export async function readDeploymentSamples(db: Db, id: string, wish: SampleWish): Promise<DeploymentSample[]> {
  const { rows } = await sql<DeploymentSample>`
    select s.at, wanted, ready, in_flight as "inFlight", waiting
    from ${moments(wish)} join deployment_samples s on s.span_s = ${wish.spanS} and s.at = m.at and s.deployment_id = ${id}
    order by s.at`.execute(db)
  return rows
}

/** What passed within a span, by the minutes that gateways account for. */
export interface TrafficSum {
  readonly at: number
  readonly requests: number
  readonly failed: number
  readonly aborted: number
  readonly promptTokens: number
  readonly completionTokens: number
  readonly durationMs: number
  readonly streams: number
  readonly firstTokenMs: number
}

export const nodeTraffic = (db: Db, nodeId: string, wish: SampleWish): Promise<TrafficSum[]> =>
  trafficOf(db, sql`node_id = ${nodeId}`, wish)

export const deploymentTraffic = (db: Db, id: string, wish: SampleWish): Promise<TrafficSum[]> =>
  trafficOf(
    db,
    sql`node_id in (select id from nodes where deployment_id = ${id}
      and (gone_at is null or gone_at >= ${at(wish.from)}))`,
    wish,
  )

async function trafficOf(db: Db, which: RawBuilder<unknown>, { spanS, from }: SampleWish): Promise<TrafficSum[]> {
  const { rows } = await sql<TrafficSum>`
    select date_bin(make_interval(secs => ${spanS}), minute, 'epoch') as at, sum(requests)::float8 as requests,
      sum(failed_requests)::float8 as failed, sum(aborted_requests)::float8 as aborted,
      sum(prompt_tokens)::float8 as "promptTokens", sum(completion_tokens)::float8 as "completionTokens",
      sum(duration_ms)::float8 as "durationMs", sum(streams)::float8 as streams,
      sum(first_token_ms)::float8 as "firstTokenMs"
    from usage_minutes where minute >= ${at(from)} and ${which} group by 1 order by 1`.execute(db)
  return rows
}
