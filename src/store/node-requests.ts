import type { NodeState } from '../core/node-table.ts'
import { at, maybeAt, type Tx } from './database.ts'
import { tellEvent } from './events.ts'

export interface LockedNode {
  readonly id: string
  readonly launchId: string
  readonly state: NodeState
  readonly unwanted: boolean
  readonly drainAsked: boolean
}

/** The launch that a node belongs to; it is held before the node is. */
export async function launchOfNode(tx: Tx, tenantId: string, id: string): Promise<string | null> {
  const row = await tx
    .selectFrom('nodes')
    .select('launch_id')
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  return row?.launch_id ?? null
}

/** Holds the node until the transaction ends. */
export async function lockNode(tx: Tx, tenantId: string, id: string): Promise<LockedNode | null> {
  const row = await tx
    .selectFrom('nodes')
    .select(['id', 'launch_id', 'state', 'unwanted_at', 'drain_asked_at'])
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .forUpdate()
    .executeTakeFirst()
  if (!row) return null
  const { launch_id: launchId, state } = row
  return { id, launchId, state, unwanted: row.unwanted_at !== null, drainAsked: row.drain_asked_at !== null }
}

/** `deadlineAt` null: the drain takes as long as the cloud's own limit allows. */
export async function askDrain(
  tx: Tx,
  node: LockedNode,
  by: string,
  deadlineAt: number | null,
  now: number,
): Promise<void> {
  await tx
    .updateTable('nodes')
    .set({ drain_asked_at: at(now), drain_deadline_at: maybeAt(deadlineAt) })
    .where('id', '=', node.id)
    .execute()
  const within = deadlineAt === null ? '' : ` Requests in flight have ${Math.round((deadlineAt - now) / 1000)} s.`
  await tellEvent(tx, now, {
    kind: 'node.drain_asked',
    text: `Draining was asked for by ${by}.${within}`,
    nodeId: node.id,
    launchId: node.launchId,
  })
}

/** Says that a node is not wanted any more, from this moment: nothing is waited for. */
export async function withdrawNode(tx: Tx, node: LockedNode, by: string, now: number): Promise<void> {
  await tx
    .updateTable('nodes')
    .set({ unwanted_at: at(now), unwanted_by: by, drain_deadline_at: at(now) })
    .where('id', '=', node.id)
    .execute()
  await tellEvent(tx, now, {
    kind: 'node.release_asked',
    text: `Releasing was asked for by ${by}.`,
    nodeId: node.id,
    launchId: node.launchId,
  })
}
