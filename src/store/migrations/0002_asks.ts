import { type Kysely, sql } from 'kysely'

/** Clouds that work on an ask for minutes: a look may say that they still do, which is neither there nor not there. */
export const asks = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table sightings drop constraint sightings_seen_check`.execute(db)
    await sql`alter table sightings add constraint sightings_seen_check
      check (seen in ('present', 'absent', 'asked'))`.execute(db)
  },
}
