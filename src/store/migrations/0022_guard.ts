import { type Kysely, sql } from 'kysely'

/** What the guard holds back for, until when for certain, and each time that it held, found without a look at all events. */
export const guard = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table install add column guard_kind text, add column guard_until timestamptz`.execute(db)
    await sql`create index events_of_guard on events (id) where kind in ('guard.held', 'guard.lifted')`.execute(db)
  },
}
