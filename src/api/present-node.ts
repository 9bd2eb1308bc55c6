import { agentStanding } from '../core/agent-protocol.ts'
import type { FailureRecord } from '../core/failure.ts'
import { actionOf, faultText, gpuFailure } from '../core/gpu-fault.ts'
import { healthScore, type SignalAges, saidBefore, saidNow } from '../core/health.ts'
import { holdChoices } from '../core/hold.ts'
import { stepOf } from '../core/machine-table.ts'
import { costMicroUsd } from '../core/money.ts'
import { nodeTable } from '../core/node-table.ts'
import { drainUntil, endsMachine, releaseNotBefore } from '../core/notice.ts'
import { leaseMsOf } from '../core/pace.ts'
import { isAccused } from '../core/verdict-table.ts'
import type { IntervalRow, NodeRow } from '../store/read-nodes.ts'
import type { EventRow } from '../store/read-told.ts'
import type { EventView, NodeDetail, NodeView } from '../wire/views.ts'
import { costAt, iso, maybeIso } from './present-time.ts'

export interface NodeScene {
  readonly now: number
  readonly signalAges: SignalAges
  readonly leaseMs: number
  readonly holdLimitS: number
}

export function presentNode(row: NodeRow, scene: NodeScene): NodeView {
  const { id, name, state, verdict, verdictRow, launchId, deploymentId, deployment, model, engine, offer } = row
  const { instanceType, spot, gpus, agentVersion, agentProtocol, engineVersion, inFlight } = row
  const living = state !== 'gone' && row.heardAt !== null
  return {
    id,
    name,
    state,
    stateSince: iso(row.stateSince),
    billed: nodeTable[state].billed,
    verdict,
    verdictRow,
    verdictSince: maybeIso(row.verdictSince),
    healthScore: healthScore(verdict),
    statusMessage: statusMessage(row, scene.now).slice(0, 500),
    launchId,
    deploymentId,
    deployment,
    model,
    engine,
    offer,
    instanceType,
    spot,
    gpus: gpus.map((gpu) => ({ ...gpu, uuid: gpu.uuid ?? null })),
    agentVersion,
    agentProtocol,
    agentStanding: standingOf(row),
    engineVersion,
    signals: presentSignals(row, scene),
    inFlight,
    createdAt: iso(row.createdAt),
    firstSeenAt: maybeIso(row.firstSeenAt),
    readyAt: maybeIso(row.readyAt),
    goneAt: maybeIso(row.goneAt),
    leaseUntil: living ? maybeIso((row.heardAt ?? 0) + leaseMsOf(scene.leaseMs, row.id)) : null,
    notice: presentNotice(row),
    noticeServiceAnswers: state === 'gone' ? null : row.noticeServiceAnswers,
    gpuFaults: row.gpuFaults.map((fault) => ({
      ...fault,
      means: faultText(fault),
      action: actionOf(fault),
      heldBack: fault.heldBack === true,
      toldAt: iso(fault.toldAt),
    })),
    hold: presentHold(row, scene.now),
    drainUntil: state === 'draining' ? maybeIso(drainUntil(row)) : null,
    failure: row.failure,
    costMicroUsd: costAt(row, scene.now),
    actions: actionsOf(row),
  }
}

function standingOf({ agentVersion, agentProtocol }: NodeRow): NodeView['agentStanding'] {
  return agentVersion === null || agentProtocol === null
    ? null
    : agentStanding({ agentVersion, protocol: agentProtocol })
}

function presentNotice({ notice }: NodeRow): NodeView['notice'] {
  if (!notice) return null
  const { source, kind, action, toldAt, takenAt } = notice
  return { source, kind, action, toldAt: iso(toldAt), takenAt: maybeIso(takenAt) }
}

function presentHold({ state, holdUntil, holdBy, pricePerHourMicroUsd }: NodeRow, now: number): NodeView['hold'] {
  const isKept = state === 'held'
  if (holdUntil === null || state === 'releasing' || state === 'gone' || (!isKept && holdUntil <= now)) return null
  const cost = costMicroUsd(pricePerHourMicroUsd, Math.max(0, holdUntil - now))
  return { until: iso(holdUntil), by: holdBy, isKept, pricePerHourMicroUsd, costMicroUsd: cost }
}

function actionsOf({ state, drainAskedAt, unwantedAt }: NodeRow): NodeView['actions'] {
  const drains = stepOf(nodeTable, state, 'drain_asked') !== undefined && drainAskedAt === null && unwantedAt === null
  const ends = state !== 'releasing' && state !== 'gone'
  const holds = ends && unwantedAt === null
  return [
    ...(drains ? (['drain'] as const) : []),
    ...(ends ? (['release'] as const) : []),
    ...(holds ? (['hold'] as const) : []),
  ]
}

/** What the node does now, in words that need no table beside them. */
function statusMessage(row: NodeRow, now: number): string {
  const { state, inFlight, failure, verdict, notice } = row
  if (state === 'intended') return 'not asked for yet'
  if (state === 'requesting') return row.askedAt === null ? 'about to be asked for' : 'asked for, not seen yet'
  if (state === 'booting') return 'booting, its agent has not joined yet'
  if (state === 'loading') return failure ? failure.cause : phaseInWords(row)
  if (state === 'draining') return drainInWords(row, now)
  if (state === 'held') return because(`kept for ${row.holdBy ?? 'somebody'} to look at`, failure)
  if (state === 'releasing') return because('being released', failure)
  if (state === 'gone') return because('gone', failure)
  const faulty = gpuFailure(row.gpuFaults)
  if (faulty) return `gets no requests: ${faulty.cause}`
  if (endsMachine(notice)) return `gets no requests: the machine is taken (${notice.action})`
  if (isAccused(verdict))
    return `gets no requests: ${verdict}${row.replaceAskedAt === null ? '' : ', and another machine is to take its place'}`
  return inFlight === 0 ? 'serving, idle' : `serving, ${inFlight} in flight`
}

function drainInWords(row: NodeRow, now: number): string {
  const { inFlight, notice, spot, firstSeenAt, unwantedAt, drainedAt } = row
  const faulty = gpuFailure(row.gpuFaults)
  const why = faulty ? ` (${faulty.cause})` : endsMachine(notice) ? ` for a notice (${notice.action})` : ''
  const freeUntil = notice && unwantedAt === null ? releaseNotBefore(notice, spot, firstSeenAt) : null
  if (drainedAt !== null && freeUntil !== null && now < freeUntil)
    return `drained${why}; left to its cloud to end, which makes its first hour free`
  return `draining${why}, ${inFlight === 0 ? 'nothing in flight' : `${inFlight} left`}`
}

function phaseInWords({ phase, phasePercent }: NodeRow): string {
  if (phase === null) return 'loading'
  return phasePercent === null ? phase : `${phase} ${Math.round(phasePercent)} %`
}

const because = (what: string, failure: FailureRecord | null): string => (failure ? `${what}: ${failure.cause}` : what)

function presentSignals(row: NodeRow, { now, signalAges }: NodeScene): NodeView['signals'] {
  const failure = row.failure ?? engineOf(row)?.failure ?? null
  const probe = row.probeAt === null || row.probeGood === null ? null : { good: row.probeGood, at: row.probeAt }
  const sighting =
    row.seen === null || row.seen === 'asked' || row.seenAt === null ? null : { seen: row.seen, at: row.seenAt }
  const { heardAt, readyAt, probeAt, seenAt, probeDetail, seen } = row
  const before = saidBefore(row.signalsJudged, row.signalsSince)
  const said = saidNow(before, { heardAt, failure, readyAt, probe, sighting }, signalAges, now)
  const signal = (witness: keyof NodeView['signals'], at: number | null, detail: string | null) => ({
    value: said.signals[witness],
    at: maybeIso(at),
    since: maybeIso(said.since[witness]),
    detail,
  })
  const engine = failure?.cause ?? engineOf(row)?.state
  return {
    heartbeat: signal('heartbeat', heardAt, engine ? `engine: ${engine}`.slice(0, 500) : null),
    probe: signal('probe', probeAt, probeDetail),
    sighting: signal('sighting', seenAt, seen),
  }
}

/** The part of the last heartbeat that speaks of the engine. It was checked when it came in. */
function engineOf({ heartbeat }: NodeRow): { readonly state?: string; readonly failure?: FailureRecord | null } | null {
  const engine = heartbeat?.engine
  return typeof engine === 'object' && engine !== null ? engine : null
}

export function presentEvent({ id, at, kind, text, nodeId, launchId }: EventRow): EventView {
  return { id, at: iso(at), kind, text, nodeId, launchId }
}

export function presentNodeDetail(
  row: NodeRow,
  intervals: readonly IntervalRow[],
  events: readonly EventRow[],
  scene: NodeScene,
): NodeDetail {
  const node = presentNode(row, scene)
  return {
    ...node,
    holdChoices: node.actions.includes('hold') ? holdChoices(row.pricePerHourMicroUsd, scene.holdLimitS) : [],
    addresses: row.addresses,
    hostname: row.hostname,
    ledger: intervals.map(({ duty, openedAt, closedAt, pricePerHourMicroUsd, amountMicroUsd }) => ({
      duty,
      openedAt: iso(openedAt),
      closedAt: maybeIso(closedAt),
      pricePerHourMicroUsd,
      costMicroUsd: amountMicroUsd ?? costMicroUsd(pricePerHourMicroUsd, (closedAt ?? scene.now) - openedAt),
    })),
    timeline: events.map(presentEvent),
  }
}
