import { sql } from 'kysely'
import { json, type Tx } from './database.ts'

export interface Probe {
  readonly nodeId: string
  readonly good: boolean
  /** False: it had no connection to ask over, or its agent said nothing. */
  readonly reached: boolean
  readonly detail: string
  /** Epoch ms. */
  readonly at: number
}

// One turn of a probe and a half: as long as another gateway's good result stands against one that had no connection.
const vouchedMs = 45_000

/**
 * Keeps the newest probe of each node. That one gateway has no connection of a node says nothing while another one reaches
 * it. True when a result says something else than the one before it.
 */
export async function saveProbes(tx: Tx, gatewayId: string, probes: readonly Probe[]): Promise<boolean> {
  if (probes.length === 0) return false
  const { rows } = await sql<{ changed: boolean }>`
    with told as (
      select distinct on ("nodeId") "nodeId" as node_id, good, reached, detail, to_timestamp(at / 1000.0) as at
      from jsonb_to_recordset(${json(probes)}::jsonb)
        as p ("nodeId" text, good boolean, reached boolean, detail text, at bigint)
      where "nodeId" in (select id from nodes) order by "nodeId", at desc),
    before as (select node_id, probe_good from signals where node_id in (select node_id from told)),
    saved as (
      insert into signals as s (node_id, probe_at, probe_good, probe_by, probe_detail)
      select node_id, at, good, ${gatewayId}, detail from told
      where reached or not exists (select from signals o where o.node_id = told.node_id and o.probe_good
        and o.probe_by <> ${gatewayId} and o.probe_at > told.at - ${vouchedMs} * interval '1 millisecond')
      order by node_id
      on conflict (node_id) do update set probe_at = excluded.probe_at, probe_good = excluded.probe_good,
        probe_by = excluded.probe_by, probe_detail = excluded.probe_detail
        where s.probe_at is null or s.probe_at <= excluded.probe_at
      returning node_id, probe_good)
    select coalesce(bool_or(before.probe_good is distinct from saved.probe_good), false) as changed
    from saved left join before using (node_id)`.execute(tx)
  return rows[0]?.changed ?? false
}
