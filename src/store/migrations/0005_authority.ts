import { type Kysely, sql } from 'kysely'

/** TLS without a certificate from outside: the install's own authority, and which of the gateways show one of its. */
export const authority = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table install add column authority bytea`.execute(db)
    await sql`alter table gateways add column fingerprint text`.execute(db)
  },
}
