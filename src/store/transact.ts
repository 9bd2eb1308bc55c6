import pg from 'pg'
import type { Db, Tx } from './database.ts'

// Serialisation failure and deadlock: PostgreSQL has rolled everything back and the same work may simply be done again.
const repeatable = new Set(['40001', '40P01'])
const mostTries = 4

/** Runs the work in one transaction, and again when two transactions got in each other's way. */
export async function transact<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await db.transaction().execute(work)
    } catch (error) {
      const again = error instanceof pg.DatabaseError && repeatable.has(error.code ?? '')
      if (!again || tries === mostTries) throw error
    }
  }
}

/** True when the write was refused because a row with the same key is there already. */
export const isTaken = (error: unknown, constraint: string): boolean =>
  error instanceof pg.DatabaseError && error.code === '23505' && error.constraint === constraint
