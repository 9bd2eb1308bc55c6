import { sql } from 'kysely'
import type { GuardKind } from '../core/guard.ts'
import { type LaunchOutcome, launchOutcomes } from '../core/launch-table.ts'
import type { NodeState } from '../core/node-table.ts'
import type { NoticeKind } from '../core/notice.ts'
import { routableVerdicts } from '../core/verdict-table.ts'
import { at, type Db, ms } from './database.ts'
import { countedHolds } from './guard.ts'

/** What is counted for `/metrics` alone. Times are epoch ms. */
export interface Figures {
  readonly launchesOver: readonly { readonly outcome: LaunchOutcome; readonly count: number }[]
  /** Since when the one that entered each state first has been in it. */
  readonly states: readonly { readonly state: NodeState; readonly since: number }[]
  /** Nodes with a notice of their cloud that stands. */
  readonly notices: readonly { readonly kind: NoticeKind; readonly count: number }[]
  /** Nodes that failed, also those that are gone, by the code of their failure. */
  readonly failed: readonly { readonly code: string; readonly count: number }[]
  /** Faults of GPUs that were told, also by nodes that are gone. */
  readonly gpuFaults: number
  /** How often the guard has held, by what held it. */
  readonly guardHolds: readonly { readonly guard: GuardKind; readonly count: number }[]
  /** Nodes that cannot ask their cloud for notices. */
  readonly noticesUnheard: number
  readonly deployments: readonly {
    readonly name: string
    readonly wanted: number
    /** Launches that hold one of its slots. */
    readonly held: number
    /** Nodes that are ready and not accused. */
    readonly serving: number
  }[]
  /** The last look that was answered, of each cloud with nodes or that was asked lately; null: never. */
  readonly clouds: readonly { readonly name: string; readonly lookedAt: number | null }[]
}

/** All of it in one statement, so that its numbers belong together. A cloud that was not asked since `asked` was taken away. */
export async function readFigures(db: Db, asked: number): Promise<Figures> {
  const { rows } = await sql<Figures>`
    select ${countedHolds} as "guardHolds",
      coalesce((select json_agg(json_build_object('outcome', state, 'count', count)) from (
        select state, count(*) from launches where state = any(${[...launchOutcomes]}) group by state) o), '[]') as "launchesOver",
      coalesce((select json_agg(json_build_object('state', state, 'since', ${ms('since')})) from (
        select state, min(state_since) as since from nodes where state <> 'gone' group by state) s), '[]') as states,
      coalesce((select json_agg(json_build_object('kind', kind, 'count', count)) from (
        select notice->>'kind' as kind, count(*) from nodes where state <> 'gone' and notice is not null group by 1) w), '[]') as notices,
      (select count(*) from nodes where state in ('loading', 'ready', 'draining') and not notice_service_answers)
        as "noticesUnheard",
      coalesce((select json_agg(json_build_object('code', code, 'count', count) order by code) from (
        select failure->>'code' as code, count(*) from nodes where failure is not null group by 1) f), '[]') as failed,
      (select coalesce(sum(jsonb_array_length(gpu_faults)), 0)::bigint from nodes where gpu_faults <> '[]') as "gpuFaults",
      coalesce((select json_agg(json_build_object('name', d.name, 'wanted', d.wanted, 'held', l.held, 'serving', n.serving)
          order by d.name)
        from deployments d
        cross join lateral (select count(*) as held from launches where deployment_id = d.id and holds_slot) l
        cross join lateral (select count(*) as serving from nodes
          where deployment_id = d.id and state = 'ready' and verdict = any(${[...routableVerdicts]})) n), '[]') as deployments,
      coalesce((select json_agg(json_build_object('name', cloud, 'lookedAt', ${ms('started_at')}) order by cloud) from looks k
        where finished_at > ${at(asked)} or exists (
          select from nodes where cloud = k.cloud and state <> 'gone')), '[]') as clouds`.execute(db)
  const row = rows[0]
  if (!row) throw new Error('a statement without a table gave no row')
  return row
}
