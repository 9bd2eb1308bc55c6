import { at, type Db, type Tx } from './database.ts'

/** Sets a sealed secret; false when another tenant owns the name. */
export async function putSecretRow(
  tx: Tx,
  secret: { tenantId: string; name: string; sealed: Buffer },
  now: number,
): Promise<boolean> {
  const row = { name: secret.name, tenant_id: secret.tenantId, sealed: secret.sealed, created_at: at(now) }
  const put = await tx
    .insertInto('secrets')
    .values(row)
    .onConflict((oc) =>
      oc
        .column('name')
        .doUpdateSet({ sealed: row.sealed, created_at: row.created_at })
        .where('secrets.tenant_id', '=', secret.tenantId),
    )
    .returning('name')
    .executeTakeFirst()
  return put !== undefined
}

export async function deleteSecretRow(tx: Tx, tenantId: string, name: string): Promise<boolean> {
  const gone = await tx
    .deleteFrom('secrets')
    .where('name', '=', name)
    .where('tenant_id', '=', tenantId)
    .returning('name')
    .executeTakeFirst()
  return gone !== undefined
}

/** The tenant's secrets as they are kept: sealed. */
export function sealedSecrets(db: Db | Tx, tenantId: string): Promise<{ name: string; sealed: Buffer }[]> {
  return db.selectFrom('secrets').select(['name', 'sealed']).where('tenant_id', '=', tenantId).orderBy('name').execute()
}

/** What a sealed secret is bound to: one that is moved to another name does not open. */
export const secretLabel = (name: string): string => `secret:${name}`
