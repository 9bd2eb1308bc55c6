import { type Kysely, sql } from 'kysely'

/** When each cloud last said what it offers, and why it does not say so now. */
export const offerReads = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`create table offer_reads (
      cloud text primary key, read_at timestamptz, failed_at timestamptz, failure jsonb
    )`.execute(db)
  },
}
