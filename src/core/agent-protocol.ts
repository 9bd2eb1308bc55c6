// State machines as data: what a state means for the bill, and which fact leads where.
// Deliberately absent: effects, time and any knowledge of where the facts come from.
import { isOlderVersion, version } from './version.ts'

/** What agent and control plane say to each other. A change that the other side of before cannot read takes the next number. */
export const agentProtocols = {
  1: 'Messages carry no number.',
  2: 'Every message of the agent says its number.',
} as const satisfies Record<number, string>

/** What this control plane speaks, and the agent that it serves. */
export const agentProtocol = Math.max(...Object.keys(agentProtocols).map(Number))

/** A control plane is renewed before the machines that run, so it works with the agents of before its own, too. */
export const oldestAgentProtocol = 1

/** Of a message that says no number. */
export const unsaidAgentProtocol = 1

/** How an agent stands to the one that is served here. One that is `too_old` is not heard any more. */
export const agentStandings = ['current', 'behind', 'ahead', 'too_old'] as const
export type AgentStanding = (typeof agentStandings)[number]

export interface AgentAge {
  readonly agentVersion: string
  readonly protocol: number
}

export function agentStanding({ agentVersion, protocol }: AgentAge): AgentStanding {
  if (protocol < oldestAgentProtocol) return 'too_old'
  if (protocol < agentProtocol || isOlderVersion(agentVersion, version)) return 'behind'
  // A control plane that was set back to an earlier version: what the agent says beyond that is passed over.
  return protocol > agentProtocol || isOlderVersion(version, agentVersion) ? 'ahead' : 'current'
}
