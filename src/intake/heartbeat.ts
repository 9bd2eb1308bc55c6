import { Failure } from '../core/failure.ts'
import { guardFaults } from '../core/fault-guard.ts'
import { actionOf, faultText, isSameFault } from '../core/gpu-fault.ts'
import { storable } from '../lib/canonical.ts'
import { nudge } from '../store/claims.ts'
import { tellEvent } from '../store/events.ts'
import { livingGateways } from '../store/gateways.ts'
import {
  type Beat,
  type Findings,
  type KnownNode,
  knownNodes,
  saveBeats,
  saveDrained,
  saveFindings,
  saveGpuFaults,
  tellOfNodes,
} from '../store/heard.ts'
import { nodeIdOfToken } from '../store/join-token.ts'
import { transact } from '../store/transact.ts'
import type { AgentReply, Heartbeat } from '../wire/agent.ts'
import { admit, type Speaker, secondHolder, speakerOf, takesOver } from './admission.ts'
import { type Alarm, makeAlarm } from './alarm.ts'
import { agentReply, heartbeatMsNow, type IntakeDeps } from './context.ts'

export interface Heartbeats {
  /** @throws Failure `credential_refused`, `second_holder` or `node_released`. */
  take(credential: string, message: Heartbeat, peerAddress: string): Promise<AgentReply>
}

interface Waiting {
  readonly nodeId: string
  readonly speaker: Speaker
  readonly message: Heartbeat
  readonly peerAddress: string
  readonly resolve: (reply: AgentReply) => void
  readonly reject: (error: unknown) => void
}

// Nobody waits for the answer to a heartbeat, so many of them share two statements.
const collectMs = 50

/** Takes heartbeats and writes those that come within a moment together: one look, one write, however many nodes. */
export function makeHeartbeats(deps: IntakeDeps, alarm: Alarm = makeAlarm(deps)): Heartbeats {
  let waiting: Waiting[] = []
  const flush = async (): Promise<void> => {
    const batch = waiting
    waiting = []
    try {
      await takeBatch(deps, alarm, batch)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
  return {
    take(credential, message, peerAddress) {
      const nodeId = nodeIdOfToken(credential)
      if (nodeId === null)
        return Promise.reject(new Failure('credential_refused', 'This is not the credential of a node.'))
      return new Promise((resolve, reject) => {
        if (waiting.length === 0) setTimeout(() => void flush(), collectMs)
        const speaker = speakerOf(credential, message)
        waiting.push({ nodeId, speaker, message: storable(message), peerAddress, resolve, reject })
      })
    },
  }
}

async function takeBatch(deps: IntakeDeps, alarm: Alarm, batch: readonly Waiting[]): Promise<void> {
  const { db } = deps.store
  const now = deps.clock.now()
  const ids = [...new Set(batch.map(({ nodeId }) => nodeId))]
  const [nodes, gateways, heartbeatMs] = await Promise.all([
    knownNodes(db, ids),
    livingGateways(db),
    heartbeatMsNow(deps),
  ])
  const heard = new Map<string, { node: KnownNode; message: Heartbeat }>()
  const answers: (() => void)[] = []
  for (const one of batch) {
    const node = nodes.get(one.nodeId)
    const failure = await refusal(deps, alarm, node, one)
    if (failure || !node) {
      answers.push(() => one.reject(failure))
      continue
    }
    // The last word of a node in a batch is the one that is kept.
    heard.set(node.id, { node, message: one.message })
    // What it is to do may follow from what it said.
    const after = () => heard.get(node.id)?.node ?? node
    answers.push(() => one.resolve(agentReply(deps, after(), { gateways, heartbeatMs })))
  }
  const words = [...heard.values()]
  await saveBeats(
    db,
    words.map(({ node, message }) => beatOf(node.id, message)),
    now,
  )
  for (const { node, message } of words) {
    await saveChanges(deps, node, message, now)
    heard.set(node.id, { node: await saveFaults(deps, node, message, now), message })
  }
  await tellOfNodes(
    db,
    words.filter(isVisiblyNew).map(({ node }) => node.id),
  )
  for (const answer of answers) answer()
}

/** Why the message is not taken, or null. An agent that was restarted on its disk takes over here. */
async function refusal(
  deps: IntakeDeps,
  alarm: Alarm,
  node: KnownNode | undefined,
  { speaker, peerAddress }: Waiting,
): Promise<Failure | null> {
  const admission = admit(node, speaker)
  if (admission.kind === 'same') return null
  if (admission.kind === 'restarted' && node && (await takesOver(deps.store.db, node, speaker))) return null
  const failure = admission.kind === 'refused' ? admission.failure : secondHolder(node?.id ?? '')
  if (node && failure.code === 'second_holder') await tellSecondHolder(alarm, node.id, speaker.incarnation, peerAddress)
  return failure
}

export const tellSecondHolder = (alarm: Alarm, nodeId: string, incarnation: string, address: string | null) =>
  alarm({
    nodeId,
    kind: 'node.second_holder',
    text: `A second agent (${incarnation}) speaks with this node's credential${address ? ` from ${address}` : ''}. It was refused.`,
    address,
    detail: { incarnation },
  })

// A node that counts nonsense must not spoil the write that it shares with others.
const countable = (count: number): number => Math.min(count, 1_000_000)

function beatOf(nodeId: string, message: Heartbeat): Beat {
  const { inFlight, busyMs, requests, spareSockets } = message.load
  return {
    nodeId,
    heartbeat: message,
    inFlight: countable(inFlight),
    busyMs,
    requests,
    spareSockets: countable(spareSockets),
  }
}

const isVisiblyNew = ({ node, message }: { node: KnownNode; message: Heartbeat }): boolean =>
  node.inFlight !== message.load.inFlight || node.engineState !== message.engine.state

/** What seldom happens: a drain that is done, an engine that fails or comes back, other hardware or versions. */
async function saveChanges(deps: IntakeDeps, node: KnownNode, message: Heartbeat, now: number): Promise<void> {
  const { db } = deps.store
  const found = findings(node, message)
  if (Object.keys(found).length > 0) await saveFindings(db, node.id, found)
  if (message.drained && node.drainedAt === null && (await saveDrained(db, node.id, now))) {
    await tellEvent(db, now, {
      kind: 'node.drained',
      text: 'No request is in flight any more.',
      nodeId: node.id,
      launchId: node.launchId,
    })
    await nudge(db, 'node', [node.id], now)
  }
  const { state, failure } = message.engine
  if (state === node.engineState) return
  await tellEvent(db, now, {
    kind: 'engine.state',
    text: `The engine is ${state}${node.engineState ? `; it was ${node.engineState}` : ''}.${failure ? ` ${failure.cause}` : ''}`,
    nodeId: node.id,
    launchId: node.launchId,
  })
  if (state === 'failed' || node.engineState === 'failed') await nudge(db, 'health', ['health'], now)
}

const doneAbout = {
  replace: 'The machine gets no requests any more, and another one is asked for.',
  engine: "It is the engine's: nothing is done but to start it again if it has ended.",
  none: 'Nothing is done about it.',
  later: 'Too many machines tell of such faults at once: it serves on, and is replaced when its turn comes.',
} as const

/** The node as it is after what was told of its GPUs: the same fault, however often it is told, is one. */
async function saveFaults(deps: IntakeDeps, node: KnownNode, { gpuFaults }: Heartbeat, now: number) {
  if (gpuFaults.every((told) => node.gpuFaults.some((known) => isSameFault(known, told)))) return node
  const { db } = deps.store
  const { id: nodeId, launchId } = node
  const { all, fresh } = await transact(db, async (tx) => {
    const saved = await saveGpuFaults(tx, nodeId, gpuFaults, (news, fleet) => guardFaults(news, nodeId, fleet), now)
    for (const fault of saved.fresh) {
      const text = `${faultText(fault)}. ${doneAbout[fault.heldBack ? 'later' : actionOf(fault)]} ${fault.evidence}`
      await tellEvent(tx, now, { kind: 'node.gpu_fault', text, nodeId, launchId, data: { fault } })
    }
    return saved
  })
  if (fresh.length > 0) await nudge(db, 'node', [nodeId], now)
  return { ...node, gpuFaults: all }
}

// What it is, not how busy it is: that changes with every heartbeat and is kept with the signals.
const identityOf = (gpus: KnownNode['gpus']): string =>
  gpus.map(({ index, name, memoryMib }) => `${index}/${name}/${memoryMib}`).join()

function findings(node: KnownNode, { gpus, agentVersion, protocol, engine }: Heartbeat): Findings {
  return {
    ...(identityOf(gpus) !== identityOf(node.gpus) && { gpus }),
    ...(agentVersion !== node.agentVersion && { agentVersion }),
    ...(protocol !== node.agentProtocol && { agentProtocol: protocol }),
    ...(engine.version !== null && engine.version !== node.engineVersion && { engineVersion: engine.version }),
  }
}
