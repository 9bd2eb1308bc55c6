import { type Kysely, sql } from 'kysely'

/**
 * A data set is of one install, whoever starts at the same time on an empty one: machines bear its id in their names, and
 * are looked for by it. Where two had been made, the one whose machines are there stays. @throws Error where
 * both have some: nobody would see those of the other one, and somebody pays for them.
 */
export const oneInstall = {
  async up(db: Kysely<unknown>): Promise<void> {
    const { rows } = await sql<{ id: string; machines: number }>`
      select id, (select count(*) from nodes where state <> 'gone' and name like 'fd-' || i.id || '-%') as machines
      from install i order by machines desc, created_at, id`.execute(db)
    for (const { id, machines } of rows.slice(1)) {
      if (machines > 0)
        throw new Error(
          `The data set is of two installs, ${rows[0]?.id} and ${id}, and both have machines: release those whose names begin with fd-${id}- with the version before this one, and start again.`,
        )
      await sql`delete from install where id = ${id}`.execute(db)
    }
    await sql`create unique index install_one on install ((true))`.execute(db)
  },
}
