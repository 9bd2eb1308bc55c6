import { type Kysely, sql } from 'kysely'

/**
 * A data set is of one install, whoever starts at the same time on an empty one: machines bear its id in their names. Where
 * two had been made, the one whose machines are known stays.
 */
export const oneInstall = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`delete from install where id <> (
      select id from install i
      order by (select count(*) from nodes where name like 'fd-' || i.id || '-%') desc, created_at, id limit 1)`.execute(
      db,
    )
    await sql`create unique index install_one on install ((true))`.execute(db)
  },
}
