import { type Kysely, sql } from 'kysely'

/** Since when each witness says what it said when the node was last judged; null where that was not kept. */
export const signalsSince = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table nodes add column signals_since jsonb`.execute(db)
  },
}
