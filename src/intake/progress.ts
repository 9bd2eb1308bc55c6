import { isAgentPhase } from '../core/phases.ts'
import { storable } from '../lib/canonical.ts'
import { oncePer } from '../lib/once-per.ts'
import type { Tx } from '../store/database.ts'
import { tellEvent } from '../store/events.ts'
import { type KnownNode, saveAnswered, saveFailure, saveHeard } from '../store/heard.ts'
import { type ReportedPhase, saveLines, savePhases } from '../store/progress.ts'
import type { AgentReply, ProgressReport } from '../wire/agent.ts'
import { type Alarm, makeAlarm } from './alarm.ts'
import type { IntakeDeps } from './context.ts'
import { takeWord } from './word.ts'

export interface ProgressIntake {
  /** @throws Failure `credential_refused`, `second_holder` or `node_released`. */
  take(credential: string, report: ProgressReport, peerAddress: string): Promise<AgentReply>
}

/** Takes what agents tell of their engines: at once, because "it answers" is what a launch waits for. */
export function makeProgressIntake(deps: IntakeDeps, alarm: Alarm = makeAlarm(deps)): ProgressIntake {
  const mayTellUnknown = oncePer(60_000, () => deps.clock.now())
  return {
    take(credential, report, peerAddress) {
      const word = { credential, message: report, peerAddress }
      return takeWord(deps, alarm, word, async (tx, node, now) => {
        const wakes = await saveReport(tx, node, storable(report), now)
        if (hasUnknownPhase(report) && mayTellUnknown(node.id)) await tellUnknownPhase(tx, node, now)
        return wakes
      })
    },
  }
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
