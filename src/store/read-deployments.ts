import { sql } from 'kysely'
import type { OwnModel } from '../core/engine-command.ts'
import type { EngineArguments, EngineName } from '../core/engine-presets.ts'
import { crashCodes } from '../core/failure.ts'
import type { Wish } from '../core/offer.ts'
import type { Db } from './database.ts'
import { type CostSoFar, costOver } from './read-cost.ts'

export interface DeploymentRow extends CostSoFar {
  readonly id: string
  readonly name: string
  readonly model: string
  readonly engine: string
  readonly source: string | null
  readonly engineArgs: EngineArguments
  readonly wish: Wish
  readonly timeLimitS: number | null
  readonly concurrency: number | null
  readonly wanted: number
  readonly paused: boolean
  readonly failuresInARow: number
  readonly createdAt: number
  readonly ready: number
  readonly starting: number
  /** The last launch that failed since one got ready, and what those failures cost. */
  readonly failedLaunchId: string | null
  readonly failures: CostSoFar
}

/** Deployments by name, with what serves for them and what is on its way; with an id, that one alone. */
export async function readDeployments(db: Db, tenantId: string, id?: string): Promise<DeploymentRow[]> {
  const { rows } = await sql<DeploymentRow>`
    select d.id, d.name, d.model, d.engine, d.source, d.wanted, d.paused, d.failures_in_a_row as "failuresInARow",
      d.created_at as "createdAt", d.engine_args as "engineArgs", d.wish, d.time_limit_s as "timeLimitS", d.concurrency, n.ready, l.starting, cost."closedMicroUsd", cost.open,
      f.last as "failedLaunchId", json_build_object('closedMicroUsd', failed."closedMicroUsd", 'open', failed.open) as failures
    from deployments d
    left join lateral (
      select count(*) as ready from nodes where deployment_id = d.id and state = 'ready') n on true
    left join lateral (
      select count(*) as starting from launches where deployment_id = d.id and unwanted_at is null
        and state in ('queued', 'attempting', 'backing_off')) l on true
    left join lateral (
      ${costOver(sql`g.node_id in (select id from nodes where deployment_id = d.id)`)}) cost on true
    left join lateral (
      select array_agg(id) as launches, (array_agg(id order by created_at desc))[1] as last from (
        select id, created_at from launches where deployment_id = d.id and (outcome = 'ended' and failure->>'code' = any(${crashCodes})
          or origin = 'deployment' and outcome in ('failed', 'timed_out')) order by created_at desc limit d.failures_in_a_row) one) f on true
    left join lateral (
      ${costOver(sql`g.node_id in (select id from nodes where launch_id = any(f.launches))`)}) failed on true
    where d.tenant_id = ${tenantId} ${id === undefined ? sql`` : sql`and d.id = ${id}`}
    order by d.name`.execute(db)
  return rows
}

/** Ready nodes for each model that has any. */
export async function readReadyByModel(db: Db, tenantId: string): Promise<Map<string, number>> {
  const { rows } = await sql<{ model: string; ready: number }>`
    select d.model, count(*) as ready from nodes n join deployments d on d.id = n.deployment_id
    where n.tenant_id = ${tenantId} and n.state = 'ready' group by d.model`.execute(db)
  return new Map(rows.map(({ model, ready }) => [model, ready]))
}

/** The models that only deployments name, each as the newest one runs it. */
export async function readOwnModels(db: Db, tenantId: string): Promise<(OwnModel & { readonly name: string })[]> {
  const rows = await db
    .selectFrom('deployments')
    .distinctOn('model')
    .select(['model as name', 'source', 'engine'])
    .where('tenant_id', '=', tenantId)
    .where('source', 'is not', null)
    .$narrowType<{ source: string }>()
    .orderBy('model')
    .orderBy('created_at', 'desc')
    .execute()
  return rows.map(({ name, source, engine }) => ({ name, source, engine: engine as EngineName }))
}
