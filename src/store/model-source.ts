import { sql } from 'kysely'
import type { OwnModel } from '../core/engine-command.ts'
import type { EngineName } from '../core/engine-presets.ts'
import type { Db, Tx } from './database.ts'

/** What the deployments of that name run, where the configuration names no such model. */
export async function ownModelNamed(db: Db, tenantId: string, model: string): Promise<OwnModel | null> {
  const row = await db
    .selectFrom('deployments')
    .select(['source', 'engine'])
    .where('tenant_id', '=', tenantId)
    .where('model', '=', model)
    .where('source', 'is not', null)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ? ownModelIn(row) : null
}

/** Others that are launched under the name at once wait for this transaction. */
export async function lockModelName(tx: Tx, model: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext(${`model ${model}`}))`.execute(tx)
}

/** A deployment that runs something else under the name. */
export async function otherSourceOf(
  db: Db | Tx,
  model: string,
  source: string,
): Promise<{ deployment: string; source: string } | null> {
  const row = await db
    .selectFrom('deployments')
    .select(['name as deployment', 'source'])
    .where('model', '=', model)
    .where((eb) => eb.or([eb('source', 'is', null), eb('source', '<>', source)]))
    .limit(1)
    .executeTakeFirst()
  return row ? { deployment: row.deployment, source: row.source ?? 'a model of the configuration' } : null
}

/** Of a row of deployments. */
export const ownModelIn = ({ source, engine }: { source: string | null; engine: string }): OwnModel | null =>
  source === null ? null : { source, engine: engine as EngineName }
