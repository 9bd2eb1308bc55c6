import { orderOf } from '../core/orders.ts'
import { leaseMsOf, paceOf } from '../core/pace.ts'
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

/** What every agent is told alike. */
export interface Terms {
  readonly gateways: LivingGateway[]
  readonly heartbeatMs: number
}

/** When agents are to speak again. */
export async function heartbeatMsNow({ settings, store }: IntakeDeps): Promise<number> {
  return paceOf(settings, await store.fleetSize()).heartbeatMs
}

/** The answer to every word of an agent: what it is to do, where the gateways are, and when it is to speak again. */
export function agentReply({ settings, clock }: IntakeDeps, node: KnownNode, terms: Terms): AgentReply {
  return { ...orderOf(node, clock.now()), ...terms, leaseMs: leaseMsOf(settings.leaseMs, node.id) }
}
