import { type Kysely, sql } from 'kysely'

/** Until when an ask waited in the queue of its cloud's own server; what clouds said lately is read by its time. */
export const waits = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table nodes add column queued_until timestamptz`.execute(db)
    await sql`create index attempts_by_opening on attempts (opened_at)`.execute(db)
    await sql`create index attempts_by_closing on attempts (closed_at)`.execute(db)
  },
}
