import { type Kysely, sql } from 'kysely'

/** The time limit and the concurrency that a launch was asked with; null: nobody asked for one. */
export const askedTerms = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table launches add column time_limit_s integer, add column concurrency integer`.execute(db)
  },
}
