import { type Kysely, sql } from 'kysely'

/** What a phase that fetches something has put on the disk, and how fast. */
export const sizes = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table phases add column bytes bigint, add column bytes_per_s bigint`.execute(db)
  },
}
