import { sql } from 'kysely'
import { at, type Db, type Tx, tell } from './database.ts'

export interface LivingGateway {
  readonly id: string
  readonly url: string
  /** What agents pin when they dial it. */
  readonly fingerprint: string | null
}

// Gateways report every few seconds; a guess at how long one may be silent before agents stop dialling it.
const livingMs = 60_000

/** Where agents dial: gateway processes that spoke within the last minute. */
export async function livingGateways(db: Db | Tx, now: number): Promise<LivingGateway[]> {
  const { rows } = await sql<LivingGateway>`
    select id, url, fingerprint from gateways where seen_at > ${at(now - livingMs)} order by id`.execute(db)
  return rows
}

export interface SeenGateway extends LivingGateway {
  readonly startedAt: number
  readonly tableVersion: string | null
}

export async function saveGateway(tx: Tx, gateway: SeenGateway, now: number): Promise<void> {
  const { rows } = await sql<{ isNew: boolean }>`
    insert into gateways (id, url, fingerprint, started_at, seen_at, table_version)
    values (${gateway.id}, ${gateway.url}, ${gateway.fingerprint}, ${at(gateway.startedAt)}, ${at(now)}, ${gateway.tableVersion})
    on conflict (id) do update set url = excluded.url, fingerprint = excluded.fingerprint, started_at = excluded.started_at,
      seen_at = greatest(gateways.seen_at, excluded.seen_at), table_version = excluded.table_version
    returning xmax = 0 as "isNew"`.execute(tx)
  if (rows[0]?.isNew) await tell(tx, ['status'])
}
