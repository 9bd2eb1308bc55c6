import { sql } from 'kysely'
import { at, type Db, json, type Tx, tell } from './database.ts'

export interface LivingGateway {
  readonly id: string
  readonly url: string
  /** What agents pin when they dial it. */
  readonly fingerprint: string | null
}

// Gateways report every few seconds; a guess at how long one may be silent before agents stop dialling it.
const livingMs = 60_000

/**
 * Where agents dial: gateway processes that spoke within the minute before the last word of any. Not before now: when all
 * are silent, it is we who are cut off from them, were away or had our clock set, and agents and gateways reach each other.
 */
export async function livingGateways(db: Db | Tx): Promise<LivingGateway[]> {
  const { rows } = await sql<LivingGateway>`
    select id, url, fingerprint from gateways where ${livingIn()} order by id`.execute(db)
  return rows
}

const livingIn = () =>
  sql<boolean>`seen_at > (select max(seen_at) from gateways) - make_interval(secs => ${livingMs / 1_000})`

/** After a gap in which no gateway could report: each has its time to speak again before it is called silent. */
export async function spareGateways(db: Db, now: number): Promise<void> {
  await sql`update gateways set seen_at = ${at(now)} where ${livingIn()}`.execute(db)
}

export interface SeenGateway extends LivingGateway {
  readonly startedAt: number
  readonly tableVersion: string | null
  /** By node; those with none are left out. */
  readonly openRequests: Readonly<Record<string, number>>
}

export async function saveGateway(tx: Tx, gateway: SeenGateway, now: number): Promise<void> {
  const { rows } = await sql<{ isNew: boolean }>`
    insert into gateways (id, url, fingerprint, started_at, seen_at, table_version, open_requests)
    values (${gateway.id}, ${gateway.url}, ${gateway.fingerprint}, ${at(gateway.startedAt)}, ${at(now)}, ${gateway.tableVersion},
      ${json(gateway.openRequests)}::jsonb)
    on conflict (id) do update set url = excluded.url, fingerprint = excluded.fingerprint, started_at = excluded.started_at,
      seen_at = greatest(gateways.seen_at, excluded.seen_at), table_version = excluded.table_version,
      open_requests = excluded.open_requests
    returning xmax = 0 as "isNew"`.execute(tx)
  if (rows[0]?.isNew) await tell(tx, ['status'])
}

/** How many requests the gateways have open at the node of a row `n`, each its own; one that is silent for long is not counted. */
export const openAtGateways = (
  now: number,
) => sql<number>`(select coalesce(sum((w.open_requests ->> n.id)::int), 0)::int
  from gateways w where w.seen_at > ${at(now - livingMs)})`
