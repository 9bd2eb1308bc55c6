import { oncePer } from '../lib/once-per.ts'
import { appendAudit } from '../store/audit.ts'
import { tellEvent } from '../store/events.ts'
import { transact } from '../store/transact.ts'
import type { IntakeDeps } from './context.ts'

export type Alarm = (alarm: {
  readonly nodeId: string
  readonly kind: string
  readonly text: string
  readonly address?: string | null
  readonly detail?: Record<string, unknown>
}) => Promise<void>

/**
 * Tells of what should never happen, in the node's timeline and in the audit chain: at most once a minute for each
 * node and kind, because whoever causes it can repeat it at will.
 */
export function makeAlarm({ store, clock }: Pick<IntakeDeps, 'store' | 'clock'>): Alarm {
  const mayTell = oncePer(60_000, () => clock.now())
  return async ({ nodeId, kind, text, address, detail }) => {
    if (!mayTell(`${kind}/${nodeId}`)) return
    const now = clock.now()
    await transact(store.db, async (tx) => {
      await tellEvent(tx, now, { kind, text, nodeId })
      const who = `node:${nodeId}`
      await appendAudit(tx, { who, action: kind, target: nodeId, address: address ?? null, detail: detail ?? {} }, now)
    })
  }
}
