import { sql } from 'kysely'
import type { Role } from '../core/tokens.ts'
import { sameDigest } from '../lib/chance.ts'
import { at, type Db, type Tx } from './database.ts'

export interface Operator {
  readonly id: string
  readonly tenantId: string
  readonly name: string
  readonly role: Role
  readonly disabled: boolean
}

export interface NewOperator {
  readonly id: string
  readonly tenantId: string
  readonly name: string
  readonly role: Role
  readonly tokenHash: string
  readonly last4: string
}

/** False when the name is taken; names are never used again, because audit rows and launches carry them. */
export async function addOperator(tx: Tx, operator: NewOperator, now: number): Promise<boolean> {
  const added = await tx
    .insertInto('operators')
    .values({
      id: operator.id,
      tenant_id: operator.tenantId,
      name: operator.name,
      role: operator.role,
      token_hash: operator.tokenHash,
      last4: operator.last4,
      created_at: at(now),
    })
    .onConflict((oc) => oc.column('name').doNothing())
    .returning('id')
    .executeTakeFirst()
  return added !== undefined
}

/** The living operator with this token, or null. */
export async function operatorByToken(db: Db, tokenHash: string): Promise<Operator | null> {
  const row = await db.selectFrom('operators').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst()
  // The index compares byte by byte, but what it compares is a hash: the last word is in constant time all the same.
  if (!row || !sameDigest(row.token_hash, tokenHash) || row.disabled_at !== null) return null
  return { id: row.id, tenantId: row.tenant_id, name: row.name, role: row.role, disabled: false }
}

/** All admins and the operator with this id, held until the transaction ends. */
export async function lockAdminsAnd(tx: Tx, tenantId: string, id: string): Promise<Operator[]> {
  const rows = await tx
    .selectFrom('operators')
    .select(['id', 'tenant_id as tenantId', 'name', 'role'])
    .select(sql<boolean>`disabled_at is not null`.as('disabled'))
    .where('tenant_id', '=', tenantId)
    .where((eb) => eb.or([eb('role', '=', 'admin'), eb('id', '=', id)]))
    .orderBy('id')
    .forUpdate()
    .execute()
  return rows
}

export async function saveRole(tx: Tx, id: string, role: Role): Promise<void> {
  await tx.updateTable('operators').set({ role }).where('id', '=', id).execute()
}

export async function disableOperatorRow(tx: Tx, id: string, now: number): Promise<void> {
  await tx
    .updateTable('operators')
    .set({ disabled_at: at(now) })
    .where('id', '=', id)
    .execute()
}

// Any number that no other advisory lock of ours uses.
const firstOperatorLock = 7_304

/** True when nobody is there yet; whoever else asks waits for the end of this transaction. */
export async function noOperatorYet(tx: Tx): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(${firstOperatorLock})`.execute(tx)
  return !(await anyOperator(tx))
}

export async function anyOperator(db: Db | Tx): Promise<boolean> {
  return (await db.selectFrom('operators').select('id').limit(1).executeTakeFirst()) !== undefined
}
