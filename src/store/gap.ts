import { sql } from 'kysely'
import { at, type Db } from './database.ts'
import { tellEvent } from './events.ts'
import { spareGateways } from './gateways.ts'
import { transact } from './transact.ts'

/**
 * Makes good what a gap did to the times in the rows: this server was away, or its clock jumped. A clock that was set back
 * leaves words and waits that lie ahead: those words would count as fresh, and those rows rest, for as long as it jumped.
 * One that was set ahead, by `aheadMs`, has made every word so much older, and leaves everybody so much less time.
 */
export async function resumeAfterGap(db: Db, now: number, aheadMs = 0): Promise<void> {
  if (aheadMs > 0) await keepAges(db, aheadMs, now)
  const present = sql`${at(now)}::timestamptz`
  await sql`update claims set due_at = ${present} where due_at > ${present} and due_at <> 'infinity'`.execute(db)
  // Whoever still works on it writes nothing any more.
  await sql`update claims set until = ${present} where until > ${at(now + longestHoldMs)}`.execute(db)
  await spareGateways(db, now)
  await transact(db, async (tx) => {
    for (const [table, columns] of Object.entries(counted)) {
      const moved = sql.join(columns.map(movedBy(0, now)))
      await sql`update ${sql.table(table)} set ${moved}
        where greatest(${sql.join(columns.map((column) => sql.ref(column)))}) > ${present}`.execute(tx)
    }
  })
}

// Longer than any claim is held: one that lasts longer is of a clock that was ahead.
const longestHoldMs = 60_000

/** Times that have been, from which something is waited for or how old a word is told. */
const counted = {
  signals: ['heard_at', 'probe_at'],
  sightings: ['at', 'absent_since'],
  orphans: ['first_seen_at'],
  nodes: [
    ...['created_at', 'state_since', 'asked_at', 'queued_until', 'joined_at', 'answered_at', 'ready_at'],
    ...['verdict_since', 'accused_at', 'well_since'],
  ],
  launches: ['state_since'],
  deployments: ['last_failure_at'],
}

/** Sets a time later, but not past now; one that is null stays so (`least` would make it now). */
const movedBy = (ms: number, now: number) => (column: string) => {
  const later = sql`${sql.ref(column)} + make_interval(secs => ${ms / 1_000})`
  const present = sql`${at(now)}::timestamptz`
  return sql`${sql.ref(column)} = case when ${later} > ${present} then ${present} else ${later} end`
}

// Control planes that share a clock see it jump within a second of each other.
const sameJumpMs = 60_000

/** What was said stays as old as it was, and who has a limit as much time as was left. Once, whoever else saw the jump. */
async function keepAges(db: Db, aheadMs: number, now: number): Promise<void> {
  const word = movedBy(aheadMs, now)
  const ahead = sql`make_interval(secs => ${aheadMs / 1_000})`
  await transact(db, async (tx) => {
    await sql`select from install for update`.execute(tx)
    const { rows } = await sql`select from events where kind = 'clock.ahead'
      and at between ${at(now - sameJumpMs)} and ${at(now + sameJumpMs)} limit 1`.execute(tx)
    if (rows.length > 0) return
    await sql`update signals set ${word('heard_at')}, ${word('probe_at')}`.execute(tx)
    await sql`update sightings set ${word('at')}, ${word('absent_since')}`.execute(tx)
    await sql`update nodes set ${word('verdict_since')}, ${word('accused_at')}, ${word('well_since')},
      join_token_until = join_token_until + ${ahead}, drain_deadline_at = drain_deadline_at + ${ahead},
      hold_until = hold_until + ${ahead}, notice = notice || jsonb_build_object(
        'toldAt', (notice ->> 'toldAt')::float8 + ${aheadMs}::float8,
        'takenAt', (notice ->> 'takenAt')::float8 + ${aheadMs}::float8)
      where state <> 'gone'`.execute(tx)
    await sql`update launches set deadline_at = deadline_at + ${ahead}
      where state in ('queued', 'attempting', 'backing_off')`.execute(tx)
    const text = `The clock was set ahead by ${Math.round(aheadMs / 1_000)} s: nobody's time runs out by that.`
    await tellEvent(tx, now, { kind: 'clock.ahead', text })
  })
}
