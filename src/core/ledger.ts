import type { NodeState } from './node-table.ts'

/** What a paid second was for. Each is a line of its own in every account. */
export const duties = ['starting', 'serving', 'held', 'ending'] as const
export type Duty = (typeof duties)[number]

const dutyOfState: Readonly<Record<NodeState, Duty | null>> = {
  intended: 'starting',
  requesting: 'starting',
  booting: 'starting',
  loading: 'starting',
  ready: 'serving',
  draining: 'serving',
  held: 'held',
  releasing: 'ending',
  gone: null,
}

/** The duty that the open interval of a node must have, or null where none may be open. Never seen, never billed. */
export function ledgerDuty(state: NodeState, firstSeenAt: number | null): Duty | null {
  return firstSeenAt === null ? null : dutyOfState[state]
}
