import { type Kysely, sql } from 'kysely'

/** How often a person did something lately is counted in the audit. */
export const auditByTime = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`create index audit_by_time on audit (at)`.execute(db)
  },
}
