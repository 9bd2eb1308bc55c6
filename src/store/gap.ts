import { sql } from 'kysely'
import { at, type Db } from './database.ts'
import { spareGateways } from './gateways.ts'

/**
 * Makes good what a gap did to the times in the rows: this server was away, or its clock jumped. A clock that was set back
 * leaves words and waits that lie ahead: those words would count as fresh, and those rows rest, for as long as it jumped.
 */
export async function resumeAfterGap(db: Db, now: number): Promise<void> {
  const present = sql`${at(now)}::timestamptz`
  await sql`update claims set due_at = ${present} where due_at > ${present} and due_at <> 'infinity'`.execute(db)
  await spareGateways(db, now)
  await sql`update signals set heard_at = least(heard_at, ${present}), probe_at = least(probe_at, ${present})
    where heard_at > ${present} or probe_at > ${present}`.execute(db)
  await sql`update sightings set at = ${present}, absent_since = least(absent_since, ${present})
    where at > ${present}`.execute(db)
  await sql`update nodes set verdict_since = ${present} where verdict_since > ${present}`.execute(db)
}
