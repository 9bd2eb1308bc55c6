import { Failure } from '../core/failure.ts'
import { isAgentPhase } from '../core/phases.ts'
import { storable } from '../lib/canonical.ts'
import { oncePer } from '../lib/once-per.ts'
import { nudge } from '../store/claims.ts'
import type { Tx } from '../store/database.ts'
import { tellEvent } from '../store/events.ts'
import { livingGateways } from '../store/gateways.ts'
import { type KnownNode, knownNodes, saveAnswered, saveFailure, saveHeard } from '../store/heard.ts'
import { nodeIdOfToken } from '../store/join-token.ts'
import { type ReportedPhase, saveLines, savePhases } from '../store/progress.ts'
import { transact } from '../store/transact.ts'
import type { AgentReply, ProgressReport } from '../wire/agent.ts'
import { admit, type Speaker, secondHolder, speakerOf, takesOver } from './admission.ts'
import { type Alarm, makeAlarm } from './alarm.ts'
import { agentReply, type IntakeDeps } from './context.ts'
import { tellSecondHolder } from './heartbeat.ts'

export interface ProgressIntake {
  /** @throws Failure `credential_refused`, `second_holder` or `node_released`. */
  take(credential: string, report: ProgressReport, peerAddress: string): Promise<AgentReply>
}

/** Takes what agents tell of their engines: at once, because "it answers" is what a launch waits for. */
export function makeProgressIntake(deps: IntakeDeps, alarm: Alarm = makeAlarm(deps)): ProgressIntake {
  const mayTellUnknown = oncePer(60_000, () => deps.clock.now())
  return {
    async take(credential, report, peerAddress) {
      const nodeId = nodeIdOfToken(credential)
      if (nodeId === null) throw new Failure('credential_refused', 'This is not the credential of a node.')
      const { db } = deps.store
      const now = deps.clock.now()
      const speaker = speakerOf(credential, report)
      const taken = await transact(db, async (tx) => {
        const node = (await knownNodes(tx, [nodeId])).get(nodeId)
        const refusal = await whyNotTaken(tx, node, speaker)
        if (refusal || !node) return { refusal: refusal ?? secondHolder(nodeId) }
        const wakes = await saveReport(tx, node, storable(report), now)
        if (hasUnknownPhase(report) && mayTellUnknown(nodeId)) await tellUnknownPhase(tx, node, now)
        return { node, wakes, gateways: await livingGateways(tx, now) }
      })
      if (!taken.node) {
        const second = taken.refusal.code === 'second_holder'
        if (second) await tellSecondHolder(alarm, nodeId, speaker.incarnation, peerAddress)
        throw taken.refusal
      }
      // Losing a nudge costs time only, and the agent needs its answer.
      if (taken.wakes) await nudge(db, 'node', [nodeId], now).catch(() => undefined)
      return agentReply(deps, taken.node, taken.gateways)
    },
  }
}

async function whyNotTaken(tx: Tx, node: KnownNode | undefined, speaker: Speaker): Promise<Failure | null> {
  const admission = admit(node, speaker)
  if (admission.kind === 'refused') return admission.failure
  if (admission.kind === 'same' || !node || (await takesOver(tx, node, speaker))) return null
  return secondHolder(node.id)
}

/** True when the node loop has something to do now. */
async function saveReport(tx: Tx, node: KnownNode, report: ProgressReport, now: number): Promise<boolean> {
  const { id: nodeId, launchId } = node
  await saveHeard(tx, nodeId, now)
  if (isStarting(node)) await savePhases(tx, nodeId, knownPhases(report, now))
  await saveLines(tx, nodeId, report.lines, now)
  const { answeredAgoMs, failure } = report
  const answers =
    answeredAgoMs !== null && node.answeredAt === null && (await saveAnswered(tx, nodeId, now - answeredAgoMs))
  if (answers) {
    const text = 'The engine answers: healthy, the model is listed, one token was made.'
    await tellEvent(tx, now, { kind: 'node.answered', text, nodeId, launchId })
  }
  const fails = failure !== null && !node.failed && (await saveFailure(tx, nodeId, failure))
  if (fails)
    await tellEvent(tx, now, { kind: 'node.failure', text: failure.cause, nodeId, launchId, data: { failure } })
  return answers || fails
}

/** Phases are the way to readiness: a late report about them must not open one that nothing would close. */
const isStarting = (node: KnownNode): boolean =>
  node.answeredAt === null && ['requesting', 'booting', 'loading'].includes(node.state)

const hasUnknownPhase = (report: ProgressReport): boolean => report.phases.some(({ phase }) => !isAgentPhase(phase))

function knownPhases(report: ProgressReport, now: number): ReportedPhase[] {
  return report.phases.flatMap(({ phase, agoMs, ...told }) =>
    isAgentPhase(phase) ? [{ ...told, phase, startedAt: now - agoMs }] : [],
  )
}

const tellUnknownPhase = (tx: Tx, { id: nodeId, launchId }: KnownNode, now: number): Promise<void> =>
  tellEvent(tx, now, {
    kind: 'agent.unknown_phase',
    text: 'The agent told of a phase that this version does not know; it was left out.',
    nodeId,
    launchId,
  })
