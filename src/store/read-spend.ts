import { sql } from 'kysely'
import type { Duty } from '../core/ledger.ts'
import { at, type Db } from './database.ts'

/** Money of one deployment and one duty within a span, in micro-dollars. */
export interface SpendRow {
  readonly deployment: string
  readonly duty: Duty
  readonly totalMicroUsd: number
  /** Of it: attempts that are over and never served. */
  readonly failedMicroUsd: number
  /** Of it: serving time without a request in flight. */
  readonly idleMicroUsd: number
}

/**
 * Where the money of a span went. An interval that reaches over an end of the span counts with its part inside; one
 * that runs on counts until now. Idle is a node's share over its whole service, because its busy time is known as one sum.
 */
export async function readSpend(db: Db, tenantId: string, from: number, to: number, now: number): Promise<SpendRow[]> {
  const { rows } = await sql<SpendRow>`
    with cut as (
      select g.node_id, g.deployment_id, g.duty,
        case when g.kind = 'correction' or (g.closed_at <= ${at(to)} and g.opened_at >= ${at(from)})
          then coalesce(g.amount_micro_usd, 0)
          else round(g.price_per_hour_micro_usd * greatest(0, extract(epoch from
            least(coalesce(g.closed_at, ${at(now)}), ${at(to)}) - greatest(g.opened_at, ${at(from)}))) / 3600) end as amount
      from ledger g
      where g.tenant_id = ${tenantId} and g.opened_at < ${at(to)} and coalesce(g.closed_at, ${at(now)}) >= ${at(from)}),
    served as (
      select g.node_id, greatest(0, 1 - coalesce(max(s.busy_ms), 0) /
        nullif(1000 * sum(extract(epoch from coalesce(g.closed_at, ${at(now)}) - g.opened_at)), 0)) as idle
      from ledger g left join signals s on s.node_id = g.node_id
      where g.duty = 'serving' and g.kind = 'usage' and g.node_id in (select node_id from cut) group by g.node_id)
    select d.name as deployment, c.duty, sum(c.amount)::bigint as "totalMicroUsd",
      coalesce(sum(c.amount) filter (where a.closed_at is not null and n.ready_at is null), 0)::bigint as "failedMicroUsd",
      coalesce(sum(round(c.amount * s.idle)) filter (where c.duty = 'serving'), 0)::bigint as "idleMicroUsd"
    from cut c join nodes n on n.id = c.node_id join attempts a on a.node_id = n.id
    join deployments d on d.id = c.deployment_id left join served s on s.node_id = c.node_id
    group by d.name, c.duty order by d.name, c.duty`.execute(db)
  return rows
}

export async function readTokens(
  db: Db,
  tenantId: string,
  from: number,
  to: number,
): Promise<{ promptTokens: number; completionTokens: number }> {
  const { rows } = await sql<{ promptTokens: number; completionTokens: number }>`
    select coalesce(sum(u.prompt_tokens), 0)::bigint as "promptTokens",
      coalesce(sum(u.completion_tokens), 0)::bigint as "completionTokens"
    from usage_minutes u join nodes n on n.id = u.node_id
    where n.tenant_id = ${tenantId} and u.minute >= ${at(from)} and u.minute < ${at(to)}`.execute(db)
  return rows[0] ?? { promptTokens: 0, completionTokens: 0 }
}

export async function readBurn(db: Db, tenantId: string): Promise<number> {
  const { rows } = await sql<{ burn: number }>`
    select coalesce(sum(price_per_hour_micro_usd), 0)::bigint as burn from ledger
    where tenant_id = ${tenantId} and closed_at is null and kind = 'usage'`.execute(db)
  return rows[0]?.burn ?? 0
}
