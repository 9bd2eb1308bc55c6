import type { EngineArguments } from '../core/engine-presets.ts'
import type { Wish } from '../core/offer.ts'
import { randomName } from '../lib/chance.ts'
import { enrol } from './claims.ts'
import { at, type Db, json, type Tx } from './database.ts'
import { tellEvent } from './events.ts'

export interface NewDeployment {
  readonly tenantId: string
  readonly name: string
  readonly model: string
  readonly engine: string
  /** Of a model that the configuration does not name. */
  readonly source: string | null
  readonly engineArgs: EngineArguments
  readonly wish: Wish
  readonly wanted: number
  readonly createdBy: string
}

export interface DeploymentRow {
  readonly id: string
  readonly name: string
  readonly model: string
  readonly source: string | null
  readonly engineArgs: EngineArguments
  readonly wanted: number
  readonly paused: boolean
}

const deploymentColumns = ['id', 'name', 'model', 'source', 'engine_args as engineArgs', 'wanted', 'paused'] as const

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
      wanted: wanted.wanted,
      created_by: wanted.createdBy,
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

/** What the engines of the deployment are told; null where no deployment of that name runs the model. */
export async function argumentsOfDeployment(
  db: Db,
  tenantId: string,
  { name, model }: { name: string; model: string },
): Promise<EngineArguments | null> {
  const row = await db
    .selectFrom('deployments')
    .select('engine_args')
    .where('tenant_id', '=', tenantId)
    .where('name', '=', name)
    .where('model', '=', model)
    .executeTakeFirst()
  return row?.engine_args ?? null
}

/** Holds the deployment until the transaction ends: its wanted count and its slots change under one hand at a time. */
export async function lockDeployment(
  tx: Tx,
  tenantId: string,
  by: { id: string } | { name: string },
): Promise<DeploymentRow | null> {
  const row = await tx
    .selectFrom('deployments')
    .select(deploymentColumns)
    .where('tenant_id', '=', tenantId)
    .$if('id' in by, (q) => q.where('id', '=', 'id' in by ? by.id : ''))
    .$if('name' in by, (q) => q.where('name', '=', 'name' in by ? by.name : ''))
    .forUpdate()
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
