import { type Kysely, sql } from 'kysely'

/** A wish names GPUs as a list in order of preference, where it named one or none. */
export const fallbacks = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const table of ['launches', 'deployments']) {
      await sql`update ${sql.table(table)}
        set wish = (wish - 'gpu') || jsonb_build_object('gpus', jsonb_path_query_array(wish, '$.gpu ? (@ != null)'))
        where wish ? 'gpu'`.execute(db)
    }
  },
}
