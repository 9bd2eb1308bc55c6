import { type Kysely, sql } from 'kysely'

/** Whether the time that a launch waits counts against its limit: of those from before all of it does. */
export const launchTimes = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table launches add column waits_count boolean not null default true`.execute(db)
  },
}
