// Everything that is kept, and every line of SQL.
// Deliberately absent: decisions, and calls to the network inside a transaction.
import { type Selectable, sql } from 'kysely'
import { canonicalJson, storable, storableText } from '../lib/canonical.ts'
import { sha256 } from '../lib/chance.ts'
import { at, type Db, json, type Tx, tell } from './database.ts'
import type { Database } from './tables.ts'

/** Who did what to what. Never holds a token, a key or the value of a secret: it is read by people and exported. */
export interface AuditEntry {
  readonly who: string
  readonly action: string
  readonly target: string
  readonly detail?: Record<string, unknown>
  readonly address?: string | null
}

type AuditRow = Selectable<Database['audit']>
type Hashed = Pick<AuditRow, 'at' | 'who' | 'action' | 'target' | 'detail' | 'address'>

// Any number that no other advisory lock of ours uses: each row needs the hash of the one before it.
const auditLock = 7_302
const firstHash = '0'.repeat(64)

const hashOf = (previous: string, { at: time, who, action, target, detail, address }: Hashed): string =>
  sha256(previous + canonicalJson({ at: time, who, action, target, detail, address }))

/**
 * Adds a link to the chain, in the transaction of the change that it tells of. Everybody who writes waits for the
 * commit, so this is the last thing that a transaction does.
 */
export async function appendAudit(tx: Tx, entry: AuditEntry, now: number): Promise<void> {
  await sql`select pg_advisory_xact_lock(${auditLock})`.execute(tx)
  const last = await tx.selectFrom('audit').select('hash').orderBy('id', 'desc').limit(1).executeTakeFirst()
  const previous = last?.hash ?? firstHash
  const row = {
    at: now,
    who: storableText(entry.who),
    action: entry.action,
    target: storableText(entry.target),
    // As it will be read: what JSON leaves out must not be in the hash.
    detail: JSON.parse(json(storable(entry.detail ?? {}))) as Record<string, unknown>,
    address: entry.address ?? null,
  }
  const hash = hashOf(previous, row)
  await tx
    .insertInto('audit')
    .values({ ...row, at: at(now), detail: json(row.detail), previous_hash: previous, hash })
    .execute()
  await tell(tx, [`changed:${entry.action.split('.', 1)[0]}`])
}

export interface AuditHead {
  readonly id: number
  readonly hash: string
}

export interface AuditCheck {
  readonly rows: number
  /** The newest row; kept elsewhere, it proves later that nothing before it was changed or cut off. */
  readonly head: AuditHead | null
  /** The first row that was changed, or that follows one that was taken out; 0: the anchor itself is missing. */
  readonly brokenAt: number | null
}

/** Walks the whole chain. `anchor` is a head that an earlier check returned and that was kept outside the database. */
export async function verifyAudit(db: Db, anchor: AuditHead | null = null, pageSize = 1_000): Promise<AuditCheck> {
  let head: AuditHead | null = null
  let rows = 0
  let anchored = anchor === null
  for (;;) {
    const page: AuditRow[] = await db
      .selectFrom('audit')
      .selectAll()
      .where('id', '>', head?.id ?? 0)
      .orderBy('id')
      .limit(pageSize)
      .execute()
    for (const row of page) {
      const previous: string = head?.hash ?? firstHash
      if (row.previous_hash !== previous || row.hash !== hashOf(previous, row)) return { rows, head, brokenAt: row.id }
      head = { id: row.id, hash: row.hash }
      anchored ||= anchor?.id === row.id && anchor.hash === row.hash
      rows += 1
    }
    if (page.length < pageSize) return { rows, head, brokenAt: anchored ? null : 0 }
  }
}
