// What a person may ask: one transaction each, then a nudge. This file: the frame that every command runs in.
// Deliberately absent: calls to a cloud, waiting for a result, and decisions; the loops make it so.
import { type AuditEntry, appendAudit } from '../store/audit.ts'
import { nudge } from '../store/claims.ts'
import type { Tx } from '../store/database.ts'
import { transact } from '../store/transact.ts'
import type { Actor, CommandDeps } from './context.ts'

export interface Done<T> {
  readonly result: T
  /** Null where nothing was changed, because it was so already. */
  readonly audit: Pick<AuditEntry, 'action' | 'target' | 'detail'> | null
  /** Rows of loops that should look at once. */
  readonly nudges?: readonly (readonly [loop: string, rowId: string])[]
}

/** Runs one command: its writes and its audit row commit together or not at all; the loops are woken afterwards. */
export async function act<T>(
  deps: Pick<CommandDeps, 'store' | 'clock'>,
  actor: Pick<Actor, 'name' | 'address'>,
  work: (tx: Tx, now: number) => Promise<Done<T>>,
): Promise<T> {
  const now = deps.clock.now()
  const { db } = deps.store
  const done = await transact(db, async (tx) => {
    const made = await work(tx, now)
    if (made.audit) await appendAudit(tx, { ...made.audit, who: actor.name, address: actor.address }, now)
    return made
  })
  // Outside the transaction: a loop holds its claim while it writes the same rows, and each would wait for the other.
  for (const [loop, rowId] of done.nudges ?? []) {
    // What was asked is committed. A nudge that is lost costs time, and the timer of the loop makes up for it.
    await nudge(db, loop, [rowId], now).catch(() => undefined)
  }
  return done.result
}
