import { type Kysely, sql } from 'kysely'

/** The requests that a gateway has open, by node; those that have none are left out. */
export const openRequests = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table gateways add column open_requests jsonb not null default '{}'`.execute(db)
  },
}
