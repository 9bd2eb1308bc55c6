import { sql } from 'kysely'
import { type Phase, phases } from '../core/phases.ts'
import { at, json, type Tx } from './database.ts'

export interface ReportedPhase {
  readonly phase: Phase
  readonly percent: number | null
  readonly startedAt: number
  readonly bytes: number | null
  readonly bytesPerS: number | null
}

/**
 * Phases as the agent entered them, oldest first. Entering one closes the earlier ones that are open; one that has
 * ended stays so, because a report may come twice.
 */
export async function savePhases(tx: Tx, nodeId: string, reported: readonly ReportedPhase[]): Promise<void> {
  for (const { phase, percent, startedAt, bytes, bytesPerS } of reported) {
    const earlier = phases.slice(0, phases.indexOf(phase))
    await sql`with attempt as (select id from attempts where node_id = ${nodeId}),
      entered as (
        insert into phases as p (attempt_id, phase, started_at, percent, bytes, bytes_per_s)
        select id, ${phase}, ${at(startedAt)}::timestamptz, ${percent}::real, ${bytes}::bigint, ${bytesPerS}::bigint from attempt
        on conflict (attempt_id, phase) do update set percent = coalesce(excluded.percent, p.percent),
          bytes = coalesce(excluded.bytes, p.bytes), bytes_per_s = coalesce(excluded.bytes_per_s, p.bytes_per_s)
          where p.ended_at is null
        returning started_at)
      update phases set ended_at = greatest(phases.started_at, entered.started_at) from entered
      where attempt_id = (select id from attempt) and ended_at is null and phase = any(${earlier}::text[])`.execute(tx)
  }
}

export interface ReportedLine {
  readonly n: number
  readonly source: 'engine' | 'agent'
  readonly text: string
}

// A guess: the start of an engine is some hundred lines, and the last words of one that died are what matters.
const mostLines = 5_000
const trimEvery = 500

/** Lines by their number, so that a report which comes twice adds nothing; the oldest go when there are too many. */
export async function saveLines(tx: Tx, nodeId: string, lines: readonly ReportedLine[], now: number): Promise<void> {
  const last = lines.at(-1)
  const first = lines[0]
  if (!first || !last) return
  await sql`insert into log_lines (node_id, n, at, source, text)
    select ${nodeId}, n, ${at(now)}, source, text
    from jsonb_to_recordset(${json(lines)}::jsonb) as l (n bigint, source text, text text)
    on conflict do nothing`.execute(tx)
  const crossed = Math.floor(last.n / trimEvery) > Math.floor((first.n - 1) / trimEvery)
  if (!crossed || last.n < mostLines) return
  await sql`delete from log_lines where node_id = ${nodeId} and n <= ${last.n - mostLines}`.execute(tx)
}
