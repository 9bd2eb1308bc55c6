import { Failure } from '../core/failure.ts'
import { nudge } from '../store/claims.ts'
import type { Tx } from '../store/database.ts'
import { livingGateways } from '../store/gateways.ts'
import { type KnownNode, knownNodes } from '../store/heard.ts'
import { nodeIdOfToken } from '../store/join-token.ts'
import { transact } from '../store/transact.ts'
import type { AgentReply } from '../wire/agent.ts'
import { secondHolder, speakerOf, whyNotTaken } from './admission.ts'
import type { Alarm } from './alarm.ts'
import { agentReply, heartbeatMsNow, type IntakeDeps } from './context.ts'
import { tellSecondHolder } from './heartbeat.ts'

interface Word {
  readonly credential: string
  readonly message: { readonly incarnation: string; readonly previous: string | null }
  readonly peerAddress: string
}

/**
 * Takes a word that cannot wait for others: checks who speaks, saves it, and answers. `save` is true when the node's loop
 * has something to do now.
 * @throws Failure `credential_refused`, `second_holder` or `node_released`.
 */
export async function takeWord(
  deps: IntakeDeps,
  alarm: Alarm,
  { credential, message, peerAddress }: Word,
  save: (tx: Tx, node: KnownNode, now: number) => Promise<boolean>,
): Promise<AgentReply> {
  const nodeId = nodeIdOfToken(credential)
  if (nodeId === null) throw new Failure('credential_refused', 'This is not the credential of a node.')
  const { db } = deps.store
  const now = deps.clock.now()
  const speaker = speakerOf(credential, message)
  const taken = await transact(db, async (tx) => {
    const node = (await knownNodes(tx, [nodeId])).get(nodeId)
    const refusal = await whyNotTaken(tx, node, speaker)
    if (refusal || !node) return { refusal: refusal ?? secondHolder(nodeId) }
    const wakes = await save(tx, node, now)
    // What was said may have changed what it is to do.
    const after = wakes ? (await knownNodes(tx, [nodeId])).get(nodeId) : node
    return { node: after ?? node, wakes, gateways: await livingGateways(tx) }
  })
  if (!taken.node) {
    const second = taken.refusal.code === 'second_holder'
    if (second) await tellSecondHolder(alarm, nodeId, speaker.incarnation, peerAddress)
    throw taken.refusal
  }
  // Losing a nudge costs time only, and the agent needs its answer.
  if (taken.wakes) await nudge(db, 'node', [nodeId], now).catch(() => undefined)
  return agentReply(deps, taken.node, { gateways: taken.gateways, heartbeatMs: await heartbeatMsNow(deps) })
}
