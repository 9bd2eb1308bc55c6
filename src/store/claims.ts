import { sql } from 'kysely'
import { at, type Db, type Tx } from './database.ts'

/** A loop's short hold on a row: what it writes counts only while nobody else has claimed the row since. */
export interface Claim {
  readonly loop: string
  readonly rowId: string
  readonly token: number
  readonly until: number
}

/** Who claims: a server's name, and the clouds that it reaches. Rows of other clouds are left to servers that reach those. */
export interface Claimer {
  readonly holder: string
  readonly realms: readonly string[]
  /** False for loops that only watch: they go on while automation is paused. */
  readonly acts: boolean
}

/**
 * Takes up to `limit` rows that are due and unclaimed (or whose claim ran out), oldest first. The pause is read in the
 * same statement: no server acts on what it believed of it a moment ago, or before the database was away.
 */
export async function claimDue(
  db: Db,
  loop: string,
  limit: number,
  now: number,
  holdMs: number,
  { holder, realms, acts }: Claimer,
): Promise<Claim[]> {
  // The next due time is set by finishing; a nudge that comes meanwhile sets it to now and is not lost.
  // Materialised: as a plain subquery it may be run again for each row, and more rows than the limit be taken.
  const { rows } = await sql<{ row_id: string; token: number; until: number }>`
    with due as materialized (
      select row_id from claims
      where loop = ${loop} and (realm is null or realm = any(${[...realms]}))
        and (due_at <= ${at(now)} and until is null or until <= ${at(now)})
        and (${!acts} or not exists (select from install where paused))
      order by due_at limit ${limit} for update skip locked)
    update claims set token = nextval('claim_tokens'), until = ${at(now + holdMs)}, holder = ${holder}, due_at = 'infinity'
    from due where claims.loop = ${loop} and claims.row_id = due.row_id
    returning claims.row_id, token, until`.execute(db)
  return rows.map((row) => ({ loop, rowId: row.row_id, token: row.token, until: row.until }))
}

/** Ends a claim and says when the row is to be looked at again; null: only when nudged. A stale claim does nothing. */
export async function finishClaim(db: Db, claim: Claim, nextDueAt: number | null): Promise<void> {
  const due = nextDueAt === null ? sql`'infinity'::timestamptz` : sql`${at(nextDueAt)}::timestamptz`
  await sql`update claims set token = null, until = null, due_at = least(due_at, ${due})
    where loop = ${claim.loop} and row_id = ${claim.rowId} and token = ${claim.token}`.execute(db)
}

/** Frees what this holder claimed in an earlier life: it cannot be working on it any more, so nobody has to wait. */
export async function freeClaimsOf(db: Db, holder: string, now: number): Promise<void> {
  await sql`update claims set token = null, until = null, due_at = ${at(now)} where holder = ${holder} and token is not null`.execute(
    db,
  )
}

/** True while the claim is the last one on its row; locks it, so that nobody can take it before the transaction ends. */
export async function holds(tx: Tx, claim: Claim): Promise<boolean> {
  const held = await tx
    .selectFrom('claims')
    .select('token')
    .where('loop', '=', claim.loop)
    .where('row_id', '=', claim.rowId)
    .where('token', '=', claim.token)
    .forUpdate()
    .executeTakeFirst()
  return held !== undefined
}

/** Puts a row under a loop's care, due at once. `realm`: the cloud that a server must reach to work on the row. */
export async function enrol(
  db: Db | Tx,
  loop: string,
  rowId: string,
  now: number,
  realm: string | null = null,
): Promise<void> {
  await sql`with enrolled as (
      insert into claims (loop, row_id, due_at, realm) values (${loop}, ${rowId}, ${at(now)}, ${realm}) on conflict do nothing)
    select pg_notify('flightdeck', ${`nudge:${loop}`})`.execute(db)
}

/**
 * Wakes a loop for these rows, on every server. After the commit, not in the transaction: it locks rows that a loop may
 * hold while it waits for ours. Losing a nudge costs time, never correctness.
 */
export async function nudge(db: Db, loop: string, rowIds: readonly string[], now: number): Promise<void> {
  if (rowIds.length === 0) return
  await sql`with woken as (
      update claims set due_at = ${at(now)} where loop = ${loop} and row_id in (
        select row_id from claims where loop = ${loop} and row_id = any(${[...rowIds]}) and due_at > ${at(now)}
        order by row_id for update)
      returning 1)
    select pg_notify('flightdeck', ${`nudge:${loop}`}) where exists (select from woken)`.execute(db)
}

/** Rows that are under the loop's care and may come due by themselves. */
export async function countRows(db: Db, loop: string): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from claims where loop = ${loop} and (due_at <> 'infinity' or until is not null)`.execute(db)
  return rows[0]?.n ?? 0
}

export interface PassRecord {
  readonly server: string
  readonly loop: string
  readonly at: number
  readonly tookMs: number
  readonly moved: number
  readonly everyMs: number
  readonly error: string | null
}

export async function recordPass(db: Db, pass: PassRecord): Promise<void> {
  await sql`insert into passes (server, loop, at, took_ms, moved, every_ms, error)
    values (${pass.server}, ${pass.loop}, ${at(pass.at)}, ${pass.tookMs}, ${pass.moved}, ${pass.everyMs}, ${pass.error})
    on conflict (server, loop) do update set at = excluded.at, took_ms = excluded.took_ms, moved = excluded.moved,
      every_ms = excluded.every_ms, error = excluded.error`.execute(db)
}
