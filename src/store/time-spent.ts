import { type RawBuilder, sql } from 'kysely'
import { isPhase } from '../core/phases.ts'
import type { PhaseSpent, TimeSpent } from '../core/time-limit.ts'
import { at, type Db } from './database.ts'

// Enough for the agent's word on why it waits, and for what the engine said last.
const mostLines = 10

interface Window {
  readonly from: number
  readonly limitMs: number
  readonly now: number
}

/** Where the time of a node's attempt went since a moment. */
export const timeOfNode = (db: Db, nodeId: string, window: Window): Promise<TimeSpent> =>
  timeOf(db, sql`a.node_id = ${nodeId}`, window)

/**
 * Where the time of a launch went, over all its attempts: the queue comes first and belongs to none. Where waits do not
 * count, neither it nor the queues of the clouds' servers are told of.
 */
export async function timeOfLaunch(
  db: Db,
  launchId: string,
  { waitsCount, ...window }: Window & { readonly waitsCount: boolean },
): Promise<TimeSpent> {
  const begin = waitsCount ? undefined : sql`case when p.phase = 'requesting' then n.queued_until end`
  const spent = await timeOf(db, sql`a.launch_id = ${launchId}`, window, begin)
  if (!waitsCount) return spent
  const { phases, ...rest } = spent
  const { rows } = await sql<{ openedAt: number | null }>`
    select min(opened_at) as "openedAt" from attempts where launch_id = ${launchId}`.execute(db)
  const openedAt = rows[0]?.openedAt ?? null
  const ms = (openedAt ?? window.now) - window.from
  return { ...rest, phases: [{ phase: 'queued', ms, isOpen: openedAt === null, bytesPerS: null }, ...phases] }
}

/** `begin`: from when a phase counts at the earliest, null where it counts from its own. */
async function timeOf(
  db: Db,
  which: RawBuilder<unknown>,
  { from, limitMs, now }: Window,
  begin: RawBuilder<unknown> = sql`null::timestamptz`,
): Promise<TimeSpent> {
  const { rows } = await sql<Omit<PhaseSpent, 'phase'> & { phase: string }>`
    select p.phase, bool_or(p.ended_at is null) as "isOpen", max(p.bytes_per_s)::float8 as "bytesPerS",
      (1000 * sum(greatest(0, extract(epoch from coalesce(p.ended_at, ${at(now)})
        - greatest(p.started_at, ${at(from)}, ${begin})))))::float8 as ms
    from attempts a join nodes n on n.id = a.node_id join phases p on p.attempt_id = a.id
    where ${which} and coalesce(p.ended_at, ${at(now)}) > ${at(from)}
    group by p.phase order by min(p.started_at)`.execute(db)
  const { rows: steps } = await sql<{ text: string }>`
    select s.text from attempts a join steps s on s.attempt_id = a.id
    where ${which} order by s.at desc, s.n desc limit 1`.execute(db)
  const { rows: looks } = await sql<{ error: string | null }>`
    select l.error from attempts a join nodes n on n.id = a.node_id join looks l on l.cloud = n.cloud
    where ${which} order by a.ordinal desc limit 1`.execute(db)
  const { rows: lines } = await sql<{ text: string }>`
    select g.source || ': ' || g.text as text from log_lines g
    where g.node_id = (select a.node_id from attempts a where ${which} order by a.ordinal desc limit 1)
    order by g.n desc limit ${mostLines}`.execute(db)
  const lastLines = lines.map(({ text }) => text).reverse()
  const phases = rows.flatMap(({ phase, ...row }) => (isPhase(phase) ? [{ phase, ...row }] : []))
  return { limitMs, phases, step: steps[0]?.text ?? null, cloudSilent: looks[0]?.error ?? null, lastLines }
}
