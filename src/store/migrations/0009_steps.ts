import { type Kysely, sql } from 'kysely'

/** What a cloud works on inside one phase of an attempt, in its own words: shown to people, and never decided by. */
export const steps = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`create table steps (
      attempt_id text not null references attempts, n integer not null, at timestamptz not null, text text not null,
      primary key (attempt_id, n)
    )`.execute(db)
    await sql`create function flightdeck_tell_steps() returns trigger language plpgsql as $$
      begin
        perform pg_notify('flightdeck', 'launch:' || launch_id)
          from (select distinct launch_id from fresh join attempts on attempts.id = fresh.attempt_id) f;
        return null;
      end $$`.execute(db)
    await sql`create trigger tell after insert on steps referencing new table as fresh
      for each statement execute function flightdeck_tell_steps()`.execute(db)
  },
}
