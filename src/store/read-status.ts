import { sql } from 'kysely'
import type { Grouped } from '../core/fleet-group.ts'
import type { LaunchState } from '../core/launch-table.ts'
import type { NodeState } from '../core/node-table.ts'
import type { Verdict } from '../core/verdict-table.ts'
import { at, type Db, ms } from './database.ts'
import { type GuardHold, lastHolds } from './guard.ts'

export interface LoopRow {
  readonly loop: string
  readonly server: string
  readonly at: number
  readonly tookMs: number
  readonly moved: number
  readonly everyMs: number
  readonly error: string | null
  /** The longest time that anything has been due in this loop, or held past the end of its claim; null: nothing is. */
  readonly dueSince: number | null
}

export interface StatusRow {
  readonly install: string
  readonly paused: boolean
  readonly pausedReason: string | null
  readonly guard: string | null
  readonly guardHolds: readonly GuardHold[]
  readonly burnPerHourMicroUsd: number
  readonly nodes: readonly { readonly state: NodeState; readonly verdict: Verdict; readonly count: number }[]
  /** Nodes that are not gone, with the requests that they had in flight when they last spoke. */
  readonly living: readonly (Grouped & { readonly count: number; readonly inFlight: number })[]
  readonly sweepArmed: boolean
  readonly orphans: readonly {
    readonly name: string
    readonly cloud: string
    readonly firstSeenAt: number
    readonly pricePerHourMicroUsd: number | null
    readonly releasing: boolean
  }[]
  readonly launches: readonly { readonly state: LaunchState; readonly count: number }[]
  readonly loops: readonly LoopRow[]
  readonly gateways: readonly {
    readonly id: string
    readonly url: string
    readonly seenAt: number
    readonly tableVersion: string | null
  }[]
  readonly silentClouds: readonly {
    readonly name: string
    readonly lookedAt: number | null
    readonly problem: string
  }[]
}

/** The whole picture in one statement, so that its numbers belong together. Ended launches are not counted. */
export async function readStatus(db: Db, since: number): Promise<StatusRow> {
  const { rows } = await sql<StatusRow>`
    select i.id as install, i.paused, i.paused_reason as "pausedReason", i.guard, ${lastHolds} as "guardHolds", i.sweep_armed as "sweepArmed",
      coalesce((select json_agg(json_build_object('name', name, 'cloud', cloud, 'firstSeenAt', ${ms('first_seen_at')},
        'pricePerHourMicroUsd', price_per_hour_micro_usd, 'releasing', released_at is not null) order by first_seen_at)
        from orphans where gone_at is null), '[]') as orphans,
      (select coalesce(sum(price_per_hour_micro_usd), 0)::bigint from ledger
        where closed_at is null and kind = 'usage') as "burnPerHourMicroUsd",
      coalesce((select json_agg(json_build_object('state', state, 'verdict', verdict, 'count', count)) from (
        select state, verdict, count(*) from nodes group by state, verdict) c), '[]') as nodes,
      coalesce((select json_agg(json_build_object('state', state, 'verdict', verdict, 'hasFailed', failed, 'count', count,
        'inFlight', in_flight)) from (
        select n.state, n.verdict, n.failure is not null as failed, count(*), coalesce(sum(g.in_flight), 0) as in_flight
        from nodes n left join signals g on g.node_id = n.id where n.state <> 'gone' group by 1, 2, 3) c), '[]') as living,
      coalesce((select json_agg(json_build_object('state', state, 'count', count)) from (
        select state, count(*) from launches where state in ('queued', 'attempting', 'backing_off', 'live', 'ending')
        group by state) c), '[]') as launches,
      coalesce((select json_agg(json_build_object('loop', p.loop, 'server', p.server, 'at', ${ms('p.at')}, 'tookMs', p.took_ms,
        'moved', p.moved, 'everyMs', p.every_ms, 'error', p.error, 'dueSince', ${ms('c.due')}) order by p.loop, p.server)
        from passes p left join (
          select loop, min(case when until is null then due_at else until end) as due
          from claims where due_at < 'infinity' or until is not null group by loop) c on c.loop = p.loop), '[]') as loops,
      coalesce((select json_agg(json_build_object('id', id, 'url', url, 'seenAt', ${ms('seen_at')}, 'tableVersion', table_version)
        order by id) from gateways where seen_at > ${at(since)}), '[]') as gateways,
      coalesce((select json_agg(json_build_object('name', cloud, 'lookedAt', ${ms('started_at')}, 'problem', error) order by cloud)
        from looks where error is not null and finished_at > ${at(since)}), '[]') as "silentClouds"
    from install i`.execute(db)
  const row = rows[0]
  if (!row) throw new Error('the install has no row: ensureInstall was not called')
  return row
}

/** True when the database answers a question that needs nothing but itself. */
export async function installInReach(db: Db): Promise<string | null> {
  return db
    .selectFrom('install')
    .select('id')
    .executeTakeFirst()
    .then(
      (row) => row?.id ?? null,
      () => null,
    )
}
