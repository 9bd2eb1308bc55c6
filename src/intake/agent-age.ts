import { type AgentAge, agentProtocol, agentStanding, oldestAgentProtocol } from '../core/agent-protocol.ts'
import { Failure } from '../core/failure.ts'
import { version } from '../core/version.ts'
import { sameDigest, sha256 } from '../lib/chance.ts'
import { nudge } from '../store/claims.ts'
import { knownNodes } from '../store/heard.ts'
import { nodeIdOfToken } from '../store/join-token.ts'
import { lockJoining, saveSeen } from '../store/joins.ts'
import { transact } from '../store/transact.ts'
import { agentAge } from '../wire/agent.ts'
import type { Alarm } from './alarm.ts'
import type { IntakeDeps } from './context.ts'
import { failNode } from './join.ts'

/** Looks at who speaks before what is said: of a message from a past protocol nothing else may be readable. */
export interface AgeCheck {
  /** @throws Failure `agent_too_old`, or `node_released`, which agents of every protocol understand. */
  check(token: string, message: unknown, peerAddress: string): Promise<void>
}

/** Refuses agents that are too old, and tells those who can renew them: a join fails the node, a heartbeat does not. */
export function makeAgeCheck(deps: IntakeDeps, alarm: Alarm): AgeCheck {
  return {
    async check(token, message, peerAddress) {
      const failure = whyTooOld(agentAge.parse(message))
      if (!failure) return
      const nodeId = nodeIdOfToken(token)
      if (nodeId === null) throw failure
      await failJoining(deps, nodeId, token, failure)
      const node = (await knownNodes(deps.store.db, [nodeId])).get(nodeId)
      if (!node?.credentialHash || !sameDigest(node.credentialHash, sha256(token))) throw failure
      if (node.unwanted || node.state === 'releasing' || node.state === 'gone')
        throw new Failure('node_released', `The node ${nodeId} is not wanted any more.`)
      const text = `${failure.message} It is not heard; what it serves is served on. ${failure.record.remedy}`
      await alarm({ nodeId, kind: 'node.agent_too_old', text, address: peerAddress })
      throw failure
    },
  }
}

/** Where the token opens the door for a first time: this node will never serve, and its machine is paid for. */
async function failJoining(deps: IntakeDeps, nodeId: string, token: string, failure: Failure): Promise<void> {
  const now = deps.clock.now()
  const failed = await transact(deps.store.db, async (tx) => {
    const node = await lockJoining(tx, nodeId)
    if (!node || node.joinUsedAt !== null || !sameDigest(node.joinTokenHash, sha256(token))) return false
    await saveSeen(tx, node, now)
    await failNode(tx, node, failure.record, now)
    return true
  })
  // Losing a nudge costs time only.
  if (failed) await nudge(deps.store.db, 'node', [nodeId], now).catch(() => undefined)
}

/** Why an agent is not heard; null: it is. */
function whyTooOld(age: AgentAge): Failure | null {
  if (agentStanding(age) !== 'too_old') return null
  const understood = `${oldestAgentProtocol} to ${agentProtocol}`
  const cause = `The agent ${age.agentVersion} speaks protocol ${age.protocol}; this control plane (${version}) understands ${understood}.`
  return new Failure('agent_too_old', cause)
}
