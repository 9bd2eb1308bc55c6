import { sql } from 'kysely'
import { at, type Tx } from './database.ts'

export interface NewKey {
  readonly id: string
  readonly tenantId: string
  readonly name: string
  readonly hash: string
  readonly last4: string
  readonly models: readonly string[] | null
  readonly createdBy: string
}

/** False when a living key has the name. */
export async function addKey(tx: Tx, key: NewKey, now: number): Promise<boolean> {
  const added = await tx
    .insertInto('api_keys')
    .values({
      id: key.id,
      tenant_id: key.tenantId,
      name: key.name,
      key_hash: key.hash,
      last4: key.last4,
      models: key.models && [...key.models],
      created_by: key.createdBy,
      created_at: at(now),
    })
    .onConflict((oc) => oc.columns(['tenant_id', 'name']).where('revoked_at', 'is', null).doNothing())
    .returning('id')
    .executeTakeFirst()
  return added !== undefined
}

/** The key's name and whether this call revoked it; null when there is no such key. */
export async function revokeKeyRow(
  tx: Tx,
  tenantId: string,
  id: string,
  now: number,
): Promise<{ name: string; revoked: boolean } | null> {
  const key = await tx
    .selectFrom('api_keys')
    .select(['name', 'revoked_at'])
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .forUpdate()
    .executeTakeFirst()
  if (!key) return null
  if (key.revoked_at !== null) return { name: key.name, revoked: false }
  await tx
    .updateTable('api_keys')
    .set({ revoked_at: sql`greatest(${at(now)}, created_at)` })
    .where('id', '=', id)
    .execute()
  return { name: key.name, revoked: true }
}
