import { sql } from 'kysely'
import type { Db } from './database.ts'

export interface DatabaseFigures {
  readonly transactions: number
  readonly deadlocks: number
}

/** What the server has counted for this database, over all its connections. Up to a second late. */
export async function databaseFigures(db: Db): Promise<DatabaseFigures> {
  const { rows } = await sql<DatabaseFigures>`
    select xact_commit + xact_rollback as transactions, deadlocks from pg_stat_database
    where datname = current_database()`.execute(db)
  return rows[0] ?? { transactions: 0, deadlocks: 0 }
}
