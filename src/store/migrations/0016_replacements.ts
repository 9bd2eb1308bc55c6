import { type Kysely, sql } from 'kysely'

/**
 * Which gateway probed last; what the witnesses said when the node was last judged; since when a ready node that is accused
 * is being replaced; how often it was accused lately, and since when it has been well again.
 */
export const replacements = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table signals add column probe_by text`.execute(db)
    await sql`alter table nodes
      add column signals_judged jsonb,
      add column replace_asked_at timestamptz,
      add column accusations integer not null default 0 check (accusations >= 0),
      add column accused_at timestamptz,
      add column well_since timestamptz`.execute(db)
  },
}
