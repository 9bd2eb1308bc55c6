import { sql } from 'kysely'
import type { FailureRecord } from '../core/failure.ts'
import { endsMachine, type Notice } from '../core/notice.ts'
import type { Offer, OfferRead } from '../core/offer.ts'
import {
  type CapacityPolicy,
  type CapacityWord,
  isRefusal,
  type Place,
  rememberedMs,
  type Standing,
  standingOf,
} from '../core/offer-memory.ts'
import { at, type Db, json, tell } from './database.ts'

/** Replaces what one cloud offers; an offer that is not made any more is taken away. */
export async function saveOffers(db: Db, cloud: string, offers: readonly Offer[], now: number): Promise<void> {
  await db.transaction().execute(async (tx) => {
    // In one statement: a large cloud makes thousands of offers.
    await sql`insert into offers (id, cloud, data, seen_at)
      select data->>'id', ${cloud}, data, ${at(now)} from jsonb_array_elements(${json(offers)}::jsonb) data
      on conflict (id) do update set data = excluded.data, seen_at = excluded.seen_at`.execute(tx)
    await sql`delete from offers where cloud = ${cloud} and seen_at < ${at(now)}`.execute(tx)
    await sql`insert into offer_reads (cloud, read_at) values (${cloud}, ${at(now)})
      on conflict (cloud) do update set read_at = excluded.read_at, failed_at = null, failure = null`.execute(tx)
    await tell(tx, ['changed:offer'])
  })
}

/** The last good offers are kept while a cloud does not answer; one that refuses us offers nothing. */
export async function saveFailedOffers(
  db: Db,
  cloud: string,
  failure: FailureRecord,
  { refused }: { refused: boolean },
  now: number,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    if (refused) await tx.deleteFrom('offers').where('cloud', '=', cloud).execute()
    await sql`insert into offer_reads (cloud, failed_at, failure) values (${cloud}, ${at(now)}, ${json(failure)})
      on conflict (cloud) do update set failed_at = excluded.failed_at, failure = excluded.failure`.execute(tx)
    await tell(tx, ['changed:offer'])
  })
}

/** When each cloud last said what it offers, by cloud; `failure`: why it does not say so now. */
export async function loadOfferReads(db: Db): Promise<OfferRead[]> {
  const rows = await db.selectFrom('offer_reads').selectAll().orderBy('cloud').execute()
  return rows.map(({ cloud, read_at, failed_at, failure }) => ({
    cloud,
    readAt: read_at,
    failedAt: failed_at,
    failure,
  }))
}

export async function loadOffers(db: Db): Promise<Offer[]> {
  const rows = await db.selectFrom('offers').select('data').execute()
  return rows.map(({ data }) => data)
}

// A bound on what one look costs; the latest are the ones that weigh.
const mostAttempts = 2_000

/**
 * What clouds answered to the asks of the last hours, of every tenant: the attempts themselves are the memory, so that
 * all control planes share it and no restart forgets it.
 */
async function loadCapacityWords(db: Db, policy: CapacityPolicy, now: number): Promise<CapacityWord[]> {
  const since = at(now - rememberedMs(policy))
  const { rows } = await sql<AttemptWord>`
    select a.offer, n.first_seen_at as "cameAt", coalesce(a.failure, n.failure) as failure,
      coalesce(a.closed_at, n.state_since) as "failedAt", n.notice
    from attempts a join nodes n on n.id = a.node_id
    where a.opened_at > ${since} or a.closed_at > ${since}
    order by a.opened_at desc limit ${mostAttempts}`.execute(db)
  return rows.flatMap(wordsOf)
}

interface AttemptWord {
  readonly offer: Offer
  readonly cameAt: number | null
  readonly failure: FailureRecord | null
  readonly failedAt: number
  /** A node that is about to be taken has not failed yet, and its replacement is asked for now. */
  readonly notice: Notice | null
}

/** An attempt may say both: the machine came, and was taken away again. */
function wordsOf({ offer, cameAt, failure, failedAt, notice }: AttemptWord): CapacityWord[] {
  const { cloud, region, gpu, gpuCount, spot } = offer
  const place = { cloud, region, gpu, gpuCount, spot }
  const came = cameAt === null ? [] : [{ ...place, at: cameAt, refusedFor: null }]
  if (failure && isRefusal(failure)) return [...came, { ...place, at: failedAt, refusedFor: failure.code }]
  return !failure && endsMachine(notice) ? [...came, { ...place, at: notice.toldAt, refusedFor: 'reclaimed' }] : came
}

/** How each offer stands by what clouds said of it lately. */
export async function standingsNow(
  db: Db,
  policy: CapacityPolicy,
  now: number,
): Promise<(place: Place) => Standing | null> {
  const words = await loadCapacityWords(db, policy, now)
  return (place) => standingOf(place, words, policy, now)
}
