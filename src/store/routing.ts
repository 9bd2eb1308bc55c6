import { sql } from 'kysely'
import type { EngineName } from '../core/engine-presets.ts'
import type { GpuFault } from '../core/gpu-fault.ts'
import type { NodeState } from '../core/node-table.ts'
import type { Notice } from '../core/notice.ts'
import type { Verdict } from '../core/verdict-table.ts'
import type { Db } from './database.ts'

export interface RoutableNode {
  readonly id: string
  readonly name: string
  readonly state: NodeState
  readonly verdict: Verdict
  readonly unwanted: boolean
  readonly drainAsked: boolean
  readonly drainDeadlineAt: number | null
  readonly notice: Notice | null
  readonly gpuFaults: readonly GpuFault[]
  readonly credentialHash: string
  readonly incarnation: string | null
  readonly model: string
  readonly engine: EngineName
  readonly cloud: string
  readonly joinInstance: string | null
  /** As its cloud told it; never as the node did. */
  readonly directAddress: string | null
}

export interface RoutingRows {
  readonly install: string
  readonly nodes: readonly RoutableNode[]
  /** Models with a node, or with a wish for one; `createdAt` epoch ms of the oldest deployment. */
  readonly models: readonly { readonly id: string; readonly createdAt: number }[]
  readonly keys: readonly { readonly id: string; readonly hash: string; readonly models: string[] | null }[]
}

/** All that gateways route by, as it was at one moment. */
export function loadRoutes(db: Db): Promise<RoutingRows> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => {
      const install = await tx.selectFrom('install').select('id').executeTakeFirst()
      const { rows: nodes } = await sql<RoutableNode>`
        select n.id, n.name, n.state, n.verdict, n.unwanted_at is not null as unwanted,
          n.drain_asked_at is not null as "drainAsked", n.drain_deadline_at as "drainDeadlineAt", n.notice, n.gpu_faults as "gpuFaults",
          n.credential_hash as "credentialHash", n.incarnation, d.model, d.engine,
          n.cloud, n.join_instance as "joinInstance", s.detail->>'direct' as "directAddress"
        from nodes n join deployments d on d.id = n.deployment_id left join sightings s on s.name = n.name
        where n.joined_at is not null and n.credential_hash is not null and n.state <> 'gone' order by n.id`.execute(tx)
      const { rows: models } = await sql<RoutingRows['models'][number]>`
        select model as id, min(created_at) as "createdAt" from deployments d
        where wanted > 0 or exists (select 1 from nodes n where n.deployment_id = d.id and n.state <> 'gone')
        group by model order by model`.execute(tx)
      const { rows: keys } = await sql<RoutingRows['keys'][number]>`
        select id, key_hash as hash, models from api_keys where revoked_at is null order by id`.execute(tx)
      return { install: install?.id ?? '', nodes, models, keys }
    })
}
