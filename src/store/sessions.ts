import { type SqlBool, sql } from 'kysely'
import { sameDigest } from '../lib/chance.ts'
import { at, type Db, type Tx } from './database.ts'
import type { Operator } from './operators.ts'

export interface NewSession {
  readonly id: string
  readonly valueHash: string
  readonly operatorId: string
  readonly now: number
  readonly endsAt: number
  /** Those that nobody used since then are over. */
  readonly idleSince: number
  /** Of one operator; the oldest make room. */
  readonly atMost: number
}

/** Keeps a new session. Only signing in makes rows, so it also takes away those that are over: there are never many. */
export async function addSession(tx: Tx, session: NewSession): Promise<void> {
  const { now } = session
  await sql`delete from sessions where ends_at <= ${at(now)} or seen_at <= ${at(session.idleSince)} or id in (
    select id from sessions where operator_id = ${session.operatorId} order by made_at desc, id
    offset ${session.atMost - 1})`.execute(tx)
  await tx
    .insertInto('sessions')
    .values({
      id: session.id,
      value_hash: session.valueHash,
      operator_id: session.operatorId,
      made_at: at(now),
      seen_at: at(now),
      ends_at: at(session.endsAt),
    })
    .execute()
}

export interface LivingSession {
  readonly id: string
  readonly seenAt: number
  readonly endsAt: number
  readonly operator: Operator
}

/** The session behind a cookie, while it lives and its operator may sign in; else null. */
export async function livingSession(
  db: Db,
  valueHash: string,
  now: number,
  idleSince: number,
): Promise<LivingSession | null> {
  const row = await db
    .selectFrom('sessions as s')
    .innerJoin('operators as o', 'o.id', 's.operator_id')
    .select(['s.id', 's.value_hash', 's.seen_at', 's.ends_at', 'o.id as operatorId', 'o.tenant_id', 'o.name', 'o.role'])
    .where('s.value_hash', '=', valueHash)
    .where('s.ends_at', '>', sql<number>`${at(now)}`)
    .where('s.seen_at', '>', sql<number>`${at(idleSince)}`)
    .where(sql<SqlBool>`o.disabled_at is null`)
    .executeTakeFirst()
  if (!row || !sameDigest(row.value_hash, valueHash)) return null
  const operator = { id: row.operatorId, tenantId: row.tenant_id, name: row.name, role: row.role, disabled: false }
  return { id: row.id, seenAt: row.seen_at, endsAt: row.ends_at, operator }
}

export async function noteSessionSeen(db: Db, id: string, now: number): Promise<void> {
  await sql`update sessions set seen_at = greatest(seen_at, ${at(now)}) where id = ${id}`.execute(db)
}

/** False when it was over already. */
export async function endSession(tx: Tx, id: string): Promise<boolean> {
  const { numDeletedRows } = await tx.deleteFrom('sessions').where('id', '=', id).executeTakeFirst()
  return numDeletedRows > 0n
}

export async function endSessionsOf(tx: Tx, operatorId: string): Promise<void> {
  await tx.deleteFrom('sessions').where('operator_id', '=', operatorId).execute()
}
