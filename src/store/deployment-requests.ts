import type { EngineArguments } from '../core/engine-presets.ts'
import type { Wish } from '../core/offer.ts'
import { randomName } from '../lib/chance.ts'
import { enrol } from './claims.ts'
import { at, type Db, json, type Tx } from './database.ts'
import { tellEvent } from './events.ts'
import type { AskedBefore, Asker } from './launch-requests.ts'

export interface NewDeployment {
  readonly tenantId: string
  readonly name: string
  readonly model: string
  readonly engine: string
  /** Of a model that the configuration does not name. */
  readonly source: string | null
  readonly engineArgs: EngineArguments
  readonly wish: Wish
  /** Of each of its launches, where somebody asked for it. */
  readonly timeLimitS?: number | undefined
  readonly concurrency?: number | undefined
  readonly wanted: number
  readonly createdBy: string
  readonly idempotencyKey?: string | null
  readonly requestHash?: string | null
}

export interface DeploymentRow {
  readonly id: string
  readonly name: string
  readonly model: string
  readonly engine: string
  readonly source: string | null
  readonly engineArgs: EngineArguments
  readonly wish: Wish
  readonly timeLimitS: number | null
  readonly wanted: number
  readonly paused: boolean
  readonly failuresInARow: number
}

const columns = ['id', 'name', 'model', 'engine', 'source', 'wish', 'wanted', 'paused'] as const
const renamed = [
  'engine_args as engineArgs',
  'time_limit_s as timeLimitS',
  'failures_in_a_row as failuresInARow',
] as const

/** Writes a new deployment and puts it under its loop's care; null when the name is taken. */
export async function addDeployment(tx: Tx, wanted: NewDeployment, now: number): Promise<string | null> {
  const id = `de-${randomName(10)}`
  const added = await tx
    .insertInto('deployments')
    .values({
      id,
      tenant_id: wanted.tenantId,
      name: wanted.name,
      model: wanted.model,
      engine: wanted.engine,
      source: wanted.source,
      engine_args: json(wanted.engineArgs),
      wish: json(wanted.wish),
      time_limit_s: wanted.timeLimitS ?? null,
      concurrency: wanted.concurrency ?? null,
      wanted: wanted.wanted,
      created_by: wanted.createdBy,
      idempotency_key: wanted.idempotencyKey ?? null,
      request_hash: wanted.requestHash ?? null,
      created_at: at(now),
    })
    .onConflict((oc) => oc.columns(['tenant_id', 'name']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!added) return null
  await tellEvent(tx, now, {
    kind: 'deployment.created',
    text: `Created by ${wanted.createdBy}; wanted ${wanted.wanted}.`,
    deploymentId: id,
  })
  await enrol(tx, 'deployment', id, now)
  return id
}

const deploymentsNamed = (db: Db | Tx, tenantId: string, by: { id: string } | { name: string }) =>
  db
    .selectFrom('deployments')
    .select([...columns, ...renamed])
    .where('tenant_id', '=', tenantId)
    .$if('id' in by, (q) => q.where('id', '=', 'id' in by ? by.id : ''))
    .$if('name' in by, (q) => q.where('name', '=', 'name' in by ? by.name : ''))

/** The deployment as it is now, where there is one of that name. */
export async function deploymentNamed(db: Db, tenantId: string, name: string): Promise<DeploymentRow | null> {
  return (await deploymentsNamed(db, tenantId, { name }).executeTakeFirst()) ?? null
}

/** Holds the deployment until the transaction ends: its wanted count and its slots change under one hand at a time. */
export async function lockDeployment(
  tx: Tx,
  tenantId: string,
  by: { id: string } | { name: string },
): Promise<DeploymentRow | null> {
  return (await deploymentsNamed(tx, tenantId, by).forUpdate().executeTakeFirst()) ?? null
}

export const deploymentKeyIndex = 'deployments_idempotency'

/** The deployment that this person already asked for under this key. */
export async function deploymentAskedBefore(db: Db | Tx, who: Asker, key: string): Promise<AskedBefore | null> {
  const row = await db
    .selectFrom('deployments')
    .select(['id', 'request_hash as requestHash'])
    .where('tenant_id', '=', who.tenantId)
    .where('created_by', '=', who.name)
    .where('idempotency_key', '=', key)
    .executeTakeFirst()
  return row ?? null
}

export async function setWanted(tx: Tx, deploymentId: string, wanted: number): Promise<void> {
  await tx.updateTable('deployments').set({ wanted }).where('id', '=', deploymentId).execute()
}

/** Resuming forgets the failures that had stopped the refilling. */
export async function setDeploymentPaused(tx: Tx, deploymentId: string, paused: boolean): Promise<void> {
  await tx
    .updateTable('deployments')
    .set(paused ? { paused } : { paused, failures_in_a_row: 0, last_failure_at: null })
    .where('id', '=', deploymentId)
    .execute()
}
