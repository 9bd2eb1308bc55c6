import { type Kysely, sql } from 'kysely'
import { fleetSizeAfter } from '../core/pace.ts'
import { systemClock } from '../lib/clock.ts'
import type { Database } from './tables.ts'

const countEveryMs = 60_000

/** How many nodes speak to us: counted once a minute at most, so that every word of an agent may ask. */
export function makeFleetSize(db: Kysely<Database>): () => Promise<number> {
  let size = 0
  let counted: { readonly at: number; readonly size: Promise<number> } | null = null
  const count = async () => {
    const { rows } = await sql<{ n: number }>`
      select count(*) as n from nodes where state in ('loading', 'ready', 'draining')`.execute(db)
    size = fleetSizeAfter(size, rows[0]?.n ?? 0)
    return size
  }
  return () => {
    const at = systemClock.monotonicMs()
    if (counted && at - counted.at < countEveryMs) return counted.size
    const now = { at, size: count() }
    counted = now
    // A count that failed is made again by the next who asks.
    now.size.catch(() => {
      if (counted === now) counted = null
    })
    return now.size
  }
}
