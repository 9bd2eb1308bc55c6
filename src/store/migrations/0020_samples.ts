import { type Kysely, sql } from 'kysely'

/**
 * Figures for graphs. The moment comes first in the key: what is written together lies together, and what is too old is
 * at one end of it.
 */
export const samples = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`create table node_samples (
      span_s integer not null, at timestamptz not null, node_id text not null, in_flight real not null, waiting real,
      kv_percent real, gpu_percent real, gpu_used_mib integer, primary key (span_s, at, node_id))`.execute(db)
    await sql`create table deployment_samples (
      span_s integer not null, at timestamptz not null, deployment_id text not null, wanted real not null,
      ready real not null, in_flight real not null, waiting real, primary key (span_s, at, deployment_id))`.execute(db)
    await sql`alter table usage_minutes add column streams bigint not null default 0,
      add column first_token_ms bigint not null default 0`.execute(db)
    await sql`create index usage_by_node on usage_minutes (node_id, minute)`.execute(db)
  },
}
