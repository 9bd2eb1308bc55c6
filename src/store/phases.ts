import { sql } from 'kysely'
import { type Phase, phases } from '../core/phases.ts'
import { at, type Db, type Tx } from './database.ts'

/**
 * Enters a phase of a node's attempt: the one that was open ends where this one begins, so no time is without a name.
 * There is no way back: an agent may have told of a later phase before a loop gets to see the earlier one.
 */
export async function enterPhase(tx: Db | Tx, nodeId: string, phase: Phase, now: number): Promise<void> {
  const later = phases.slice(phases.indexOf(phase) + 1)
  await sql`with attempt as (
      select id from attempts a where node_id = ${nodeId}
        and not exists (select 1 from phases p where p.attempt_id = a.id and p.phase = any(${later}::text[]))),
    closed as (update phases set ended_at = ${at(now)} where attempt_id = (select id from attempt) and ended_at is null and phase <> ${phase})
    insert into phases (attempt_id, phase, started_at) select id, ${phase}, ${at(now)}::timestamptz from attempt
    on conflict (attempt_id, phase) do update set ended_at = null`.execute(tx)
}

/** Ends whatever phase is open: the node is ready, or on its way out. */
export async function endPhases(tx: Tx, nodeId: string, now: number): Promise<void> {
  await sql`update phases set ended_at = ${at(now)} where ended_at is null
    and attempt_id = (select id from attempts where node_id = ${nodeId})`.execute(tx)
}
