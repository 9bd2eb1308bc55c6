import { type Kysely, sql } from 'kysely'

const states = ['intended', 'requesting', 'booting', 'loading', 'ready', 'draining', 'held', 'releasing', 'gone']
const duties = ['starting', 'serving', 'held', 'ending']

/** A node that somebody wants to look at before it is released: until when, and who. */
export const hold = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table nodes add column hold_until timestamptz, add column hold_by text`.execute(db)
    for (const [table, column, words] of [['nodes', 'state', states] as const, ['ledger', 'duty', duties] as const]) {
      const name = sql.ref(`${table}_${column}_check`)
      const list = sql.join(words.map((word) => sql.lit(word)))
      await sql`alter table ${sql.table(table)} drop constraint ${name},
        add constraint ${name} check (${sql.ref(column)} in (${list}))`.execute(db)
    }
  },
}
