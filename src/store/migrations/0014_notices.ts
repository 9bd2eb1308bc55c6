import { type Kysely, sql } from 'kysely'

/** What was announced of a machine's end, and whether anybody would know: null where its cloud has no such service. */
export const notices = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table nodes add column notice jsonb`.execute(db)
    await sql`alter table nodes add column notice_service_answers boolean`.execute(db)
  },
}
