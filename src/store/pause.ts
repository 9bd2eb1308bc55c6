import type { Tx } from './database.ts'

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
