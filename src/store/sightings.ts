import { sql } from 'kysely'
import { absenceCountsFrom, type CloudTraits } from '../core/decide-node.ts'
import type { NodeState } from '../core/node-table.ts'
import { nudge } from './claims.ts'
import { at, type Db, maybeAt, maybeJson, tell } from './database.ts'
import { heardAt, tellOfNodes } from './heard.ts'
import { type AskedNode, type AskSeen, saveAsksSeen, saveQueued } from './late-asks.ts'

/** A machine as its cloud lists it. */
export interface Listed {
  readonly name: string
  readonly detail?: Record<string, unknown>
  /** What an hour of it costs, where the cloud says so. */
  readonly pricePerHourMicroUsd?: number
  readonly ask?: AskSeen
  /** Who ended a machine that was there, as its cloud says. */
  readonly ended?: string
}

export interface BulkLook {
  readonly cloud: string
  /** Before the list was asked for: a machine that was asked for later may be missing from it. */
  readonly startedAt: number
  readonly listed: readonly Listed[]
}

// In these states a machine is on its way in or out, so the cloud is looked at more often.
const waiting: readonly NodeState[] = ['requesting', 'booting', 'releasing']

/**
 * Writes what one bulk look said of every node of the cloud, and wakes the nodes for which it may matter. Returns how
 * many of them wait for a machine to come or go, so that the caller knows how soon to look again.
 */
export async function saveLook(db: Db, look: BulkLook, traits: CloudTraits, now: number): Promise<number> {
  const rows = await db
    .selectFrom('nodes as n')
    .leftJoin('sightings as s', 's.name', 'n.name')
    .leftJoin('signals as g', 'g.node_id', 'n.id')
    .select(['n.id', 'n.name', 'n.state', 'n.created_at', 'n.asked_at', 'n.ask_open'])
    .select(heardAt)
    .select(['n.launch_id', 'n.refusal', 's.seen', 's.absent_since'])
    .select(sql<string | null>`s.detail->>'direct'`.as('direct'))
    .where('n.cloud', '=', look.cloud)
    .where((eb) =>
      eb.or([
        eb('n.state', '<>', 'gone'),
        sql<boolean>`n.name = any(${look.listed.filter(isThere).map(({ name }) => name)})`,
      ]),
    )
    .execute()
  const present = new Map(look.listed.filter(isThere).map((listed) => [listed.name, listed]))
  const asked = new Map(look.listed.filter(isAsked).map((listed) => [listed.name, listed]))
  const ended = new Map(look.listed.map((listed) => [listed.name, listed.ended]))
  const covered = rows.filter((row) => row.created_at < look.startedAt || present.has(row.name) || asked.has(row.name))
  await upsert(
    db,
    look,
    covered.map((row) => {
      const known = { askedAt: row.asked_at, askOpen: row.ask_open, heardAt: row.heardAt }
      // An absence that began too early to count would never count; so it begins anew with this look.
      const goesOn = row.absent_since !== null && row.absent_since >= absenceCountsFrom(known, traits)
      const absentSince = goesOn ? row.absent_since : look.startedAt
      return {
        name: row.name,
        listed: present.get(row.name),
        asked: asked.get(row.name),
        ended: ended.get(row.name),
        absentSince,
      }
    }),
  )
  if (covered.some((row) => row.direct !== (directIn(present.get(row.name)) ?? row.direct))) await tell(db, ['routes'])
  // A listed machine of a node that is gone wakes it at every look: the nudge of the first may have been lost.
  const turned = covered.filter((row) => (row.seen === 'present') !== present.has(row.name) || row.seen === null)
  const changed = [...turned, ...covered.filter(({ state }) => state === 'gone')]
  const asks = askedNodes(covered, look)
  await saveQueued(db, asks, look.startedAt)
  const refused = await saveAsksSeen(db, asks, now)
  // A second "not there" may end a machine that was there; one that is still there says nothing new.
  const missing = covered.filter((row) => row.state !== 'requesting' && !present.has(row.name) && !asked.has(row.name))
  const wake = new Set([...changed, ...missing].map(({ id }) => id).concat(refused))
  await nudge(db, 'node', [...wake], now)
  await tellOfNodes(
    db,
    turned.map(({ id }) => id),
  )
  await sql`insert into looks (cloud, started_at, finished_at, error) values (${look.cloud}, ${at(look.startedAt)}, ${at(now)}, null)
    on conflict (cloud) do update set started_at = excluded.started_at, finished_at = excluded.finished_at, error = null`.execute(
    db,
  )
  return rows.filter(({ state }) => waiting.includes(state)).length
}

const isThere = ({ ask }: Listed): boolean => ask === undefined || ask.machine
const isAsked = ({ ask }: Listed): boolean => ask?.open === true && !ask.machine

/** Where the cloud says that the machine can be called; null where a look says nothing of it. */
const directIn = (listed: Listed | undefined): string | null =>
  typeof listed?.detail?.['direct'] === 'string' ? listed.detail['direct'] : null

interface CoveredRow {
  readonly id: string
  readonly name: string
  readonly launch_id: string
  readonly state: NodeState
  readonly refusal: unknown
}

function askedNodes(covered: readonly CoveredRow[], look: BulkLook): AskedNode[] {
  const listed = new Map(look.listed.filter(({ ask }) => ask !== undefined).map((one) => [one.name, one]))
  return covered.flatMap((row) => {
    const { ask } = listed.get(row.name) ?? {}
    if (!ask) return []
    const { id, launch_id: launchId, state } = row
    return [{ id, launchId, state, ask, refused: row.refusal !== null }]
  })
}

interface Covered {
  readonly name: string
  readonly listed: Listed | undefined
  readonly asked: Listed | undefined
  readonly ended: string | undefined
  readonly absentSince: number | null
}

async function upsert(db: Db, look: BulkLook, covered: readonly Covered[]): Promise<void> {
  if (covered.length === 0) return
  const names = covered.map(({ name }) => name)
  const seen = covered.map(({ listed, asked }) => (listed ? 'present' : asked ? 'asked' : 'absent'))
  const since = covered.map(({ listed, asked, absentSince }) => (listed || asked ? null : maybeAt(absentSince)))
  const details = covered.map(({ listed, asked, ended }) =>
    maybeJson((listed ?? asked)?.detail ?? (ended === undefined ? undefined : { ended })),
  )
  // The address stays known: a look after our restart comes before the cloud was asked for it again.
  await sql`insert into sightings as s (name, cloud, seen, at, absent_since, detail)
    select name, ${look.cloud}, seen, ${at(look.startedAt)}::timestamptz, since, detail::jsonb
    from unnest(${names}::text[], ${seen}::text[], ${since}::timestamptz[], ${details}::text[]) as t (name, seen, since, detail)
    on conflict (name) do update set seen = excluded.seen, at = excluded.at, absent_since = excluded.absent_since,
      detail = coalesce(
        jsonb_strip_nulls(jsonb_build_object('direct', s.detail->'direct')) || excluded.detail, s.detail)
    where s.at <= excluded.at`.execute(db)
}

/** Machines that were seen and whose nodes are not over, with what their cloud told of them last. */
export async function seenMachines(
  db: Db,
  cloud: string,
): Promise<{ name: string; detail: Record<string, unknown> }[]> {
  const rows = await db
    .selectFrom('nodes as n')
    .innerJoin('sightings as s', 's.name', 'n.name')
    .select(['n.name', 's.detail'])
    .where('n.cloud', '=', cloud)
    .where('n.state', 'in', ['booting', 'loading', 'ready', 'draining', 'held'])
    .execute()
  return rows.map(({ name, detail }) => ({ name, detail: detail ?? {} }))
}

/** A cloud that does not answer has said nothing: the sightings stay as they were and grow old. */
export async function saveFailedLook(db: Db, cloud: string, error: string, now: number): Promise<void> {
  await sql`insert into looks (cloud, finished_at, error) values (${cloud}, ${at(now)}, ${error.slice(0, 2_000)})
    on conflict (cloud) do update set finished_at = excluded.finished_at, error = excluded.error`.execute(db)
}

/** Machines with our tag that no living row knows. A cloud is listed before the rows, so a new row is never missed. */
export async function saveOrphans(
  db: Db,
  look: BulkLook,
  now: number,
): Promise<{ name: string; firstSeenAt: number }[]> {
  const names = look.listed.map(({ name }) => name)
  await db
    .updateTable('orphans')
    .set({ gone_at: at(now) })
    .where('cloud', '=', look.cloud)
    .where('gone_at', 'is', null)
    .where(sql<boolean>`name <> all(${names})`)
    .execute()
  const known = await db.selectFrom('nodes').select('name').where(sql<boolean>`name = any(${names})`).execute()
  const knownNames = new Set(known.map(({ name }) => name))
  const orphans = names.filter((name) => !knownNames.has(name))
  const prices = new Map(look.listed.map(({ name, pricePerHourMicroUsd }) => [name, pricePerHourMicroUsd ?? null]))
  for (const name of orphans) {
    await sql`insert into orphans (name, cloud, first_seen_at, last_seen_at, price_per_hour_micro_usd)
      values (${name}, ${look.cloud}, ${at(now)}, ${at(now)}, ${prices.get(name) ?? null})
      on conflict (name) do update set last_seen_at = excluded.last_seen_at, gone_at = null`.execute(db)
  }
  if (orphans.length === 0) return []
  const rows = await db.selectFrom('orphans').select(['name', 'first_seen_at']).where('name', 'in', orphans).execute()
  return rows.map((row) => ({ name: row.name, firstSeenAt: row.first_seen_at }))
}

/** The end of an orphan is asked for; kept before the ask, so that it is shown whatever happens to us then. */
export async function markReleased(db: Db, name: string, now: number): Promise<void> {
  await sql`update orphans set released_at = coalesce(released_at, ${at(now)}) where name = ${name}`.execute(db)
}
