import { sql } from 'kysely'
import { at, type Db, tell } from './database.ts'

/** How far apart samples lie, and how long they are kept. */
export const fine = { spanS: 10, keptMs: 3_600_000 } as const
export const coarse = { spanS: 300, keptMs: 24 * 3_600_000 } as const

const startOf = (now: number, spanMs: number): number => Math.floor(now / spanMs) * spanMs

/**
 * Writes what every living node and every deployment does at this moment, and takes away what is too old: one statement,
 * however many there are. Twice within one span is once.
 */
export async function takeSamples(db: Db, now: number, heardSince: number): Promise<number> {
  const moment = at(startOf(now, fine.spanS * 1_000))
  const { rows } = await sql<{ count: number }>`
    with
    old_nodes as (delete from node_samples where span_s = ${fine.spanS} and at < ${at(now - fine.keptMs)}),
    old_deployments as (delete from deployment_samples where span_s = ${fine.spanS} and at < ${at(now - fine.keptMs)}),
    living as materialized (
      select n.id, n.deployment_id, s.in_flight, (s.heartbeat -> 'load' ->> 'waiting')::real as waiting,
        (s.heartbeat -> 'load' ->> 'kvPercent')::real as kv_percent, g.percent, g.used_mib
      from nodes n join signals s on s.node_id = n.id
      left join lateral (
        select avg((gpu ->> 'utilizationPercent')::real) as percent, sum((gpu ->> 'memoryUsedMib')::int) as used_mib
        from jsonb_array_elements(s.heartbeat -> 'gpus') gpu) g on true
      where n.state <> 'gone' and s.heard_at > ${at(heardSince)}),
    nodes_taken as (
      insert into node_samples (span_s, at, node_id, in_flight, waiting, kv_percent, gpu_percent, gpu_used_mib)
      select ${fine.spanS}, ${moment}, id, in_flight, waiting, kv_percent, percent, used_mib from living order by id
      on conflict do nothing returning 1),
    deployments_taken as (
      insert into deployment_samples (span_s, at, deployment_id, wanted, ready, in_flight, waiting)
      select ${fine.spanS}, ${moment}, d.id, d.wanted, coalesce(r.ready, 0), coalesce(l.in_flight, 0), l.waiting
      from deployments d
      left join (select deployment_id, count(*) as ready from nodes where state = 'ready' group by 1) r
        on r.deployment_id = d.id
      left join (select deployment_id, sum(in_flight) as in_flight, sum(waiting) as waiting from living group by 1) l
        on l.deployment_id = d.id
      on conflict do nothing returning 1)
    select (select count(*) from nodes_taken) + (select count(*) from deployments_taken) as count`.execute(db)
  const count = rows[0]?.count ?? 0
  if (count > 0) await tell(db, ['changed:sample'])
  return count
}

/**
 * Sums fine samples up to coarse ones, for each span that is over and was not summed up: also for those that ended while
 * nobody was there to do it.
 */
export async function rollSamplesUp(db: Db, now: number): Promise<void> {
  const spanMs = coarse.spanS * 1_000
  const until = at(startOf(now, spanMs))
  const span = sql`make_interval(secs => ${coarse.spanS})`
  const bucket = sql`date_bin(${span}, at, 'epoch')`
  const unsummed = (table: string) => sql`span_s = ${fine.spanS} and at < ${until} and at >= coalesce(
    (select max(at) + ${span} from ${sql.table(table)} where span_s = ${coarse.spanS}), '-infinity')`
  await sql`with old as (delete from node_samples where span_s = ${coarse.spanS} and at < ${at(now - coarse.keptMs)})
    insert into node_samples (span_s, at, node_id, in_flight, waiting, kv_percent, gpu_percent, gpu_used_mib)
    select ${coarse.spanS}, ${bucket}, node_id, avg(in_flight), avg(waiting), avg(kv_percent), avg(gpu_percent),
      avg(gpu_used_mib)
    from node_samples where ${unsummed('node_samples')} group by 2, 3 order by 2, 3 on conflict do nothing`.execute(db)
  await sql`with old as (delete from deployment_samples where span_s = ${coarse.spanS} and at < ${at(now - coarse.keptMs)})
    insert into deployment_samples (span_s, at, deployment_id, wanted, ready, in_flight, waiting)
    select ${coarse.spanS}, ${bucket}, deployment_id, avg(wanted), avg(ready), avg(in_flight), avg(waiting)
    from deployment_samples where ${unsummed('deployment_samples')} group by 2, 3 on conflict do nothing`.execute(db)
}
