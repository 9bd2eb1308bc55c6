import type { NodeState } from './node-table.ts'
import { isAccused, type Verdict } from './verdict-table.ts'

/** What a fleet is counted by, in the order in which a person looks at it. */
export const fleetGroups = ['wrong', 'starting', 'leaving', 'ready'] as const
export type FleetGroup = (typeof fleetGroups)[number]

export interface Grouped {
  readonly state: NodeState
  readonly verdict: Verdict
  readonly hasFailed: boolean
}

/** Each node is in one group; who needs a look is `wrong`, whatever else it does. */
export function groupOf({ state, verdict, hasFailed }: Grouped): FleetGroup {
  if (state === 'gone') return 'leaving'
  if (state === 'held' || isAccused(verdict) || (state === 'ready' && verdict === 'degraded')) return 'wrong'
  if (state === 'releasing' && hasFailed) return 'wrong'
  if (state === 'ready') return 'ready'
  return state === 'draining' || state === 'releasing' ? 'leaving' : 'starting'
}
