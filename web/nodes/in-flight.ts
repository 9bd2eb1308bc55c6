import { stepOf } from '../../src/core/machine-table.ts'
import { nodeTable } from '../../src/core/node-table.ts'
import type { NodeView } from '../../src/wire/views.ts'

/** Its requests in flight; a dash where there can be none, of which a zero would say too much. */
export function inFlightOf({ state, inFlight }: Pick<NodeView, 'state' | 'inFlight'>): number | '–' {
  const canServe = state === 'draining' || stepOf(nodeTable, state, 'drain_asked') !== undefined
  return canServe ? inFlight : '–'
}
