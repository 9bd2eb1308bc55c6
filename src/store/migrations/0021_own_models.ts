import { type Kysely, sql } from 'kysely'

/** Where the weights of a model lie that the configuration does not name; null: it names the model. */
export const ownModels = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table deployments add column source text`.execute(db)
  },
}
