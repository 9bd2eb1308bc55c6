import type { Db, Tx } from './database.ts'

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

/** The sweep may release orphans from now on. False when it was so already. */
export async function armSweep(db: Db | Tx): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('install')
    .set({ sweep_armed: true })
    .where('sweep_armed', '=', false)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}
