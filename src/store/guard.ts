import { sql } from 'kysely'
import type { Guard, GuardKind } from '../core/guard.ts'
import { type Db, maybeAt, ms, type Tx } from './database.ts'
import { tellEvent } from './events.ts'

/** What holds releases back by the last word on it. */
export async function loadGuard(db: Db | Tx): Promise<Guard | null> {
  const row = await db.selectFrom('install').select(['guard', 'guard_kind', 'guard_until']).executeTakeFirstOrThrow()
  if (row.guard === null || row.guard_kind === null) return null
  return { kind: row.guard_kind, reason: row.guard, until: row.guard_until }
}

/** Written with the verdicts that it was decided with; what it begins and ends is told. */
export async function saveGuard(tx: Tx, guard: Guard | null, now: number): Promise<void> {
  const before = await loadGuard(tx)
  const [was, is] = [before?.kind ?? null, guard?.kind ?? null]
  if (was === is && before?.reason === guard?.reason && before?.until === guard?.until) return
  await tx
    .updateTable('install')
    .set({ guard: guard?.reason ?? null, guard_kind: is, guard_until: maybeAt(guard?.until ?? null) })
    .execute()
  // Its figures may change with every pass; what is told is what holds, and that nothing does any more.
  if (guard !== null && was !== is) {
    const data = { guard: guard.kind, reason: guard.reason }
    await tellEvent(tx, now, { kind: 'guard.held', text: `Releases are held back: ${guard.reason}`, data })
  }
  if (was !== null && is === null)
    await tellEvent(tx, now, { kind: 'guard.lifted', text: 'Dead nodes may be released again.' })
}

/** One time that the guard held for one reason. Epoch ms; `until` is null while it does. */
export interface GuardHold {
  readonly guard: GuardKind
  readonly reason: string
  readonly since: number
  readonly until: number | null
}

// Enough to see that it comes again and again.
const shownHolds = 5
const ofGuard = sql`kind in ('guard.held', 'guard.lifted')`

/** The last times that it held, the newest first, as one column of a statement. */
export const lastHolds = sql<GuardHold[]>`coalesce((
  select json_agg(json_build_object('guard', h.data ->> 'guard', 'reason', h.data ->> 'reason', 'since', ${ms('h.at')},
    'until', ${ms('h.ended')}) order by h.id desc)
  from (select * from (select id, kind, at, data, lead(at) over (order by id) as ended from events
      where ${ofGuard} order by id desc limit ${3 * shownHolds}) e
    where kind = 'guard.held' and data is not null order by id desc limit ${shownHolds}) h), '[]')`

/** How often each of them has held, as one column of a statement. */
export const countedHolds = sql<{ guard: GuardKind; count: number }[]>`coalesce((
  select json_agg(json_build_object('guard', guard, 'count', count)) from (
    select data ->> 'guard' as guard, count(*) from events
    where ${ofGuard} and kind = 'guard.held' and data is not null group by 1) g), '[]')`
