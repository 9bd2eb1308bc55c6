import type { FailureRecord } from '../core/failure.ts'
import type { NodeState } from '../core/node-table.ts'
import { at, type Db, json } from './database.ts'
import { tellEvent } from './events.ts'

/** What a look said of an ask that its cloud works on for minutes. */
export interface AskSeen {
  readonly open: boolean
  readonly machine: boolean
  readonly queuePlace?: number
  readonly refusal: FailureRecord | null
}

/** A node that a look covered. */
export interface AskedNode {
  readonly id: string
  readonly launchId: string
  readonly state: NodeState
  readonly refused: boolean
  readonly ask: AskSeen | undefined
}

const starting: readonly NodeState[] = ['requesting', 'booting']

/** Time in the queue of a cloud's own server is no time of the attempt: nothing was tried for it yet. */
export async function saveQueued(db: Db, nodes: readonly AskedNode[], seenAt: number): Promise<void> {
  const queued = nodes.filter(({ ask, state }) => ask?.queuePlace !== undefined && state === 'requesting')
  if (queued.length === 0) return
  await db
    .updateTable('nodes')
    .set({ queued_until: at(seenAt) })
    .where(
      'id',
      'in',
      queued.map(({ id }) => id),
    )
    .execute()
}

/** Writes late refusals. Returns the nodes that have something to do because of it. */
export async function saveAsksSeen(db: Db, nodes: readonly AskedNode[], now: number): Promise<string[]> {
  const woken: string[] = []
  for (const { id, launchId, state, refused, ask } of nodes) {
    if (!starting.includes(state)) continue
    if (!ask?.refusal || refused) continue
    const { numUpdatedRows } = await db
      .updateTable('nodes')
      .set({ refusal: json(ask.refusal) })
      .where('id', '=', id)
      .where('refusal', 'is', null)
      .where('state', 'in', [...starting])
      .executeTakeFirst()
    if (numUpdatedRows === 0n) continue
    await tellEvent(db, now, { kind: 'node.refused', text: ask.refusal.cause, nodeId: id, launchId })
    woken.push(id)
  }
  return woken
}
