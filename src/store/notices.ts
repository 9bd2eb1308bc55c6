import { sql } from 'kysely'
import type { NodeState } from '../core/node-table.ts'
import type { Notice } from '../core/notice.ts'
import { maybeJson, type Tx } from './database.ts'

export interface NoticedNode {
  readonly state: NodeState
  readonly unwanted: boolean
  readonly notice: Notice | null
  readonly serviceAnswers: boolean | null
}

/** Holds the node until the transaction ends: two words of its agent follow one another. */
export async function lockNoticed(tx: Tx, nodeId: string): Promise<NoticedNode> {
  return tx
    .selectFrom('nodes')
    .select(['state', 'notice', 'notice_service_answers as serviceAnswers'])
    .select(sql<boolean>`unwanted_at is not null`.as('unwanted'))
    .where('id', '=', nodeId)
    .forUpdate()
    .executeTakeFirstOrThrow()
}

export async function saveNotice(
  tx: Tx,
  nodeId: string,
  { notice, serviceAnswers }: Pick<NoticedNode, 'notice' | 'serviceAnswers'>,
): Promise<void> {
  await tx
    .updateTable('nodes')
    .set({ notice: maybeJson(notice), notice_service_answers: serviceAnswers })
    .where('id', '=', nodeId)
    .execute()
}

/** Forgets that a drain is done, unless somebody asked for it: what was drained for a notice is to serve again. */
export async function undoDrain(tx: Tx, nodeId: string): Promise<void> {
  await tx
    .updateTable('nodes')
    .set({ drained_at: null })
    .where('id', '=', nodeId)
    .where('drain_asked_at', 'is', null)
    .where('unwanted_at', 'is', null)
    .execute()
}
