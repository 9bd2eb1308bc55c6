import { type Kysely, sql } from 'kysely'

/** What was told of a machine's GPUs, oldest first; kept when the node is gone, for it is evidence. */
export const gpuFaults = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table nodes add column gpu_faults jsonb not null default '[]'`.execute(db)
  },
}
