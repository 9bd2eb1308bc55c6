import { sql } from 'kysely'
import type { OwnModel } from '../core/engine-command.ts'
import type { EngineArguments } from '../core/engine-presets.ts'
import type { FailureRecord } from '../core/failure.ts'
import type { NodeState } from '../core/node-table.ts'
import type { Offer } from '../core/offer.ts'
import { at, json, maybeJson, type Tx } from './database.ts'
import { saveHeard } from './heard.ts'
import { settleLedger } from './ledger.ts'
import { ownModelIn } from './model-source.ts'
import type { DeliveredGpu } from './tables.ts'

export interface JoiningNode {
  readonly id: string
  readonly name: string
  readonly tenantId: string
  readonly launchId: string
  readonly deploymentId: string
  readonly state: NodeState
  readonly unwanted: boolean
  readonly offer: Offer
  readonly failed: boolean
  readonly firstSeenAt: number | null
  readonly joinTokenHash: string
  /** Later by the time that its ask waited in the queue of the cloud's own server. */
  readonly joinTokenUntil: number
  readonly joinUsedAt: number | null
  readonly joinInstance: string | null
  readonly model: string
  readonly own: OwnModel | null
  readonly engineArgs: EngineArguments
}

/** Holds the node until the transaction ends, so that its token is consumed once. */
export async function lockJoining(tx: Tx, nodeId: string): Promise<JoiningNode | null> {
  const row = await tx
    .selectFrom('nodes as n')
    .innerJoin('deployments as d', 'd.id', 'n.deployment_id')
    .select([
      'n.id',
      'n.name',
      'n.tenant_id as tenantId',
      'n.launch_id as launchId',
      'n.deployment_id as deploymentId',
      'n.state',
      'n.offer',
      'n.first_seen_at as firstSeenAt',
      'n.join_token_hash as joinTokenHash',
      'n.join_used_at as joinUsedAt',
      'n.join_instance as joinInstance',
      'd.model',
      'd.engine',
      'd.source',
      'd.engine_args as engineArgs',
    ])
    .select(
      sql<number>`n.join_token_until + coalesce(greatest(n.queued_until - n.asked_at, interval '0'), interval '0')`.as(
        'joinTokenUntil',
      ),
    )
    .select([sql<boolean>`n.unwanted_at is not null`.as('unwanted'), sql<boolean>`n.failure is not null`.as('failed')])
    .where('n.id', '=', nodeId)
    .forUpdate('n')
    .executeTakeFirst()
  return row ? { ...row, own: ownModelIn(row) } : null
}

export interface Joined {
  readonly instance: string
  readonly incarnation: string
  readonly credentialHash: string
  readonly hostname: string
  readonly gpus: readonly DeliveredGpu[]
  readonly cpus: number
  readonly memoryMib: number
  readonly instanceType: string | null
  readonly agentVersion: string
  readonly protocol: number
  readonly address: string
  readonly failure: FailureRecord | null
}

/** Consumes the token and keeps what the agent told of its machine. A repeated join changes nothing that is billed. */
export async function saveJoin(tx: Tx, node: JoiningNode, joined: Joined, now: number): Promise<void> {
  await tx
    .updateTable('nodes')
    .set({
      join_used_at: sql`coalesce(join_used_at, ${at(now)})`,
      joined_at: sql`coalesce(joined_at, ${at(now)})`,
      first_seen_at: sql`coalesce(first_seen_at, ${at(now)})`,
      join_instance: joined.instance,
      incarnation: joined.incarnation,
      credential_hash: joined.credentialHash,
      hostname: joined.hostname,
      gpus: json(joined.gpus),
      cpus: Math.min(joined.cpus, 100_000),
      memory_mib: Math.min(joined.memoryMib, 2_000_000_000),
      // What was ordered stands where the agent does not know.
      instance_type: sql`coalesce(${joined.instanceType}, instance_type)`,
      agent_version: joined.agentVersion,
      agent_protocol: joined.protocol,
      // Never what the node says of itself: where its call came from.
      addresses: [joined.address],
      failure: sql`coalesce(failure, ${maybeJson(joined.failure)}::jsonb)`,
    })
    .where('id', '=', node.id)
    .execute()
  await saveHeard(tx, node.id, now)
  // An agent that speaks proves a machine that is billed, whether or not the cloud has shown it yet.
  await settleLedger(tx, { id: node.id, state: node.state, firstSeenAt: node.firstSeenAt ?? now }, now)
}

/** A machine that calls although nobody wants it any more exists all the same: from here on it is paid for. */
export async function saveSeen(tx: Tx, node: JoiningNode, now: number): Promise<void> {
  // What its cloud said before of its not being there was wrong.
  await saveHeard(tx, node.id, now)
  if (node.firstSeenAt !== null || node.state === 'gone') return
  await tx
    .updateTable('nodes')
    .set({ first_seen_at: at(now) })
    .where('id', '=', node.id)
    .execute()
  await settleLedger(tx, { id: node.id, state: node.state, firstSeenAt: now }, now)
}
