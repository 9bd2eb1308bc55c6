import { type Kysely, sql } from 'kysely'

/** Who is signed in with a browser. What the browser keeps is not here, only its hash. */
export const sessions = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`create table sessions (
      id text primary key, value_hash text not null unique, operator_id text not null references operators,
      made_at timestamptz not null, seen_at timestamptz not null, ends_at timestamptz not null)`.execute(db)
    await sql`create index sessions_by_operator on sessions (operator_id, made_at)`.execute(db)
  },
}
