import { orderOf } from '../core/orders.ts'
import type { Settings } from '../core/settings.ts'
import type { Clock } from '../lib/clock.ts'
import type { Vault } from '../lib/vault.ts'
import type { Store } from '../store/database.ts'
import type { LivingGateway } from '../store/gateways.ts'
import type { KnownNode } from '../store/heard.ts'
import type { AgentReply } from '../wire/agent.ts'
import type { DirectWay } from './direct.ts'

export interface IntakeDeps {
  readonly store: Store
  readonly clock: Clock
  readonly settings: Settings
  readonly vault: Vault
  /** Absent or null: every node calls the gateways. */
  readonly direct?: DirectWay | null
}

/** The answer to every word of an agent: what it is to do, and where the gateways are. */
export function agentReply(deps: IntakeDeps, node: KnownNode, gateways: LivingGateway[]): AgentReply {
  const { heartbeatMs, leaseMs } = deps.settings
  return { ...orderOf(node, deps.clock.now()), gateways, heartbeatMs, leaseMs }
}
