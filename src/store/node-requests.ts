import type { NodeState } from '../core/node-table.ts'
import { at, maybeAt, type Tx } from './database.ts'
import { tellEvent } from './events.ts'

export interface LockedNode {
  readonly id: string
  readonly launchId: string
  readonly state: NodeState
  readonly unwanted: boolean
  readonly drainAsked: boolean
  readonly holdUntil: number | null
  readonly pricePerHourMicroUsd: number
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
    .select(['hold_until as holdUntil', 'price_per_hour_micro_usd as pricePerHourMicroUsd'])
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .forUpdate()
    .executeTakeFirst()
  if (!row) return null
  const { launch_id: launchId, state, unwanted_at, drain_asked_at, ...rest } = row
  return { ...rest, id, launchId, state, unwanted: unwanted_at !== null, drainAsked: drain_asked_at !== null }
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

/** Until when the node is kept, should it be released; null: it is let go. */
export async function saveHold(
  tx: Tx,
  node: LockedNode,
  hold: { readonly until: number; readonly by: string } | null,
  text: string,
  now: number,
): Promise<void> {
  await tx
    .updateTable('nodes')
    .set({ hold_until: maybeAt(hold?.until ?? null), hold_by: hold?.by ?? null })
    .where('id', '=', node.id)
    .execute()
  const kind = hold ? 'node.hold_asked' : 'node.hold_ended'
  await tellEvent(tx, now, { kind, text, nodeId: node.id, launchId: node.launchId })
}

/** Nodes of a launch that are held: whoever cancels it wants none of them any more. */
export async function withdrawHeld(tx: Tx, launchId: string, by: string, now: number): Promise<string[]> {
  const held = await tx
    .updateTable('nodes')
    .set({ unwanted_at: at(now), unwanted_by: by })
    .where('launch_id', '=', launchId)
    .where('state', '=', 'held')
    .where('unwanted_at', 'is', null)
    .returning('id')
    .execute()
  return held.map(({ id }) => id)
}
