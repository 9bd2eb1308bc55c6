import { type Kysely, sql } from 'kysely'

/** What each launch of a deployment is given, as it was asked for; and under which key the deployment was, once for each person. */
export const deploymentTerms = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table deployments add column time_limit_s integer, add column concurrency integer,
      add column idempotency_key text, add column request_hash text`.execute(db)
    await sql`create unique index deployments_idempotency on deployments (tenant_id, created_by, idempotency_key)
      where idempotency_key is not null`.execute(db)
  },
}
