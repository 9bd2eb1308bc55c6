import { sql } from 'kysely'
import { at, type Db, type Tx } from './database.ts'

/** Pauses or resumes all automation; every server hears of it. False when it was so already. */
export async function setPaused(tx: Tx, paused: boolean, by: string, reason: string): Promise<boolean> {
  const before = await tx.selectFrom('install').select('paused').forUpdate().executeTakeFirstOrThrow()
  if (before.paused === paused) return false
  await tx
    .updateTable('install')
    .set({ paused, paused_by: paused ? by : null, paused_reason: paused ? reason : null })
    .execute()
  return true
}

// A guess: a restart takes seconds. Longer, and what we find may be a backup that forgets machines it never knew.
const longAwayMs = 10 * 60_000

/** A data set that nobody worked on for long may have been restored: until a clean look its orphans are only shown. */
export async function disarmAfterLongAway(db: Db, now: number): Promise<void> {
  await sql`update install set sweep_armed = false where sweep_armed
    and coalesce((select max(at) from passes where loop = 'sweep'), '-infinity') < ${at(now - longAwayMs)}`.execute(db)
}

/** The sweep may release orphans from now on. False when it was so already. */
export async function armSweep(db: Db | Tx): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('install')
    .set({ sweep_armed: true })
    .where('sweep_armed', '=', false)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}
