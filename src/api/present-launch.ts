import { isLeaving, isOver, launchTable } from '../core/launch-table.ts'
import { deadlineOf } from '../core/launch-time.ts'
import { stepOf } from '../core/machine-table.ts'
import {
  isAgentPhase,
  isPhase,
  type Phase,
  type PhasePast,
  type PhaseToCome,
  type Progress,
  phaseOfStates,
  phasesAfter,
  progressOf,
} from '../core/phases.ts'
import { mostTries, type RetryPolicy } from '../core/retry.ts'
import type { AttemptRow, LaunchRow, PhaseRow } from '../store/read-launches.ts'
import type { LaunchDetail, LaunchView } from '../wire/views.ts'
import { presentOffer } from './present-plan.ts'
import { presentAsked } from './present-small.ts'
import { costAt, iso, maybeIso } from './present-time.ts'

/** What a launch is seen against: the time, the queue, and how long its phases took in the past. */
export interface LaunchScene {
  readonly now: number
  /** Queued launches in the order of their admission, each with why it has to wait. */
  readonly queue: ReadonlyMap<string, string | null>
  /** Why the server of a cloud takes no further launch now, or null. */
  readonly fullOf: (cloud: string | null) => string | null
  readonly pastOf: (cloud: string | null, engine: string, model: string) => PhasePast
  readonly retry: RetryPolicy
}

export function presentLaunch(row: LaunchRow, scene: LaunchScene): LaunchView {
  const { phase, percent, etaMs } = progressOfRow(row, scene)
  const place = row.state === 'queued' ? [...scene.queue.keys()].indexOf(row.id) : -1
  const { id, state, deploymentId, deployment, slot, model, engine, origin, requestedBy, nodeId, failure } = row
  return {
    id,
    state,
    stateSince: iso(row.stateSince),
    deploymentId,
    deployment,
    slot,
    model,
    engine,
    origin,
    requestedBy,
    createdAt: iso(row.createdAt),
    deadlineAt: maybeIso(deadlineOf(row.createdAt, row, row.tried)),
    endedAt: maybeIso(row.endedAt),
    queuePlace: place < 0 ? null : place + 1,
    waitsFor: waitsForOf(row, scene),
    phase,
    percent,
    etaMs,
    nodeId,
    failure,
    endAskedBy: row.unwantedBy,
    costMicroUsd: costAt(row, scene.now),
    actions: stepOf(launchTable, state, 'unwanted') && row.unwantedAt === null ? ['cancel'] : [],
  }
}

/** In the queue, or between two attempts: there the server of the last one's cloud is told of. */
function waitsForOf({ id, state, cloud, offers }: LaunchRow, { queue, fullOf }: LaunchScene): string | null {
  if (state === 'backing_off') return fullOf(cloud ?? offers[0]?.cloud ?? null)
  return state === 'queued' ? (queue.get(id) ?? null) : null
}

/** A launch that got live stands at its end for ever; one that ends before stands where it was stopped. */
function progressOfRow(row: LaunchRow, { now, pastOf }: LaunchScene): Progress {
  const past = pastOfRow(row, pastOf)
  if (row.liveAt !== null) return progressOf('ready', 0, null, past)
  if (row.state === 'queued' || row.state === 'backing_off')
    return progressOf('queued', now - row.stateSince, null, past)
  const over = row.state === 'ending' || isOver(row.state)
  const told = openPhase(row)
  const shown = told
    ? progressOf(told.phase, (told.endedAt ?? now) - told.startedAt, told.within, past)
    : progressOf(phaseOfStates('attempting', over ? null : row.nodeState), now - row.stateSince, null, past)
  return over ? { ...shown, etaMs: null } : shown
}

/** At the cloud that it tries, or would try first. */
const pastOfRow = ({ cloud, offers, engine, model }: LaunchRow, pastOf: LaunchScene['pastOf']): PhasePast =>
  pastOf(cloud ?? offers[0]?.cloud ?? null, engine, model)

function phasesToComeOf(row: LaunchRow, scene: LaunchScene): PhaseToCome[] {
  if (row.liveAt !== null || isLeaving(row.state)) return []
  return phasesAfter(progressOfRow(row, scene).phase, pastOfRow(row, scene.pastOf))
}

function openPhase({ phase, phaseStartedAt, phaseEndedAt, phasePercent }: LaunchRow) {
  if (phase === null || phaseStartedAt === null || !isPhase(phase)) return null
  const within = phasePercent === null ? null : phasePercent / 100
  return { phase, startedAt: phaseStartedAt, endedAt: phaseEndedAt, within }
}

export function presentLaunchDetail(row: LaunchRow, attempts: readonly AttemptRow[], scene: LaunchScene): LaunchDetail {
  return {
    ...presentLaunch(row, scene),
    ...presentAsked(row),
    offers: row.offers.map(presentOffer),
    attempts: attempts.map((attempt) => presentAttempt(attempt, scene.now)),
    attemptsAtMost: attemptsAtMost(row, attempts, scene),
    phases: phasesOf(row, attempts),
    phasesToCome: phasesToComeOf(row, scene),
    steps: attempts.flatMap(stepsOf),
  }
}

/** One that runs may still fail and be followed by others. */
function attemptsAtMost({ state, offers }: LaunchRow, attempts: readonly AttemptRow[], { retry }: LaunchScene): number {
  if (state === 'live' || isLeaving(state)) return attempts.length
  const failures = attempts.filter(({ closedAt }) => closedAt !== null).map(({ failure }) => failure)
  const clouds = offers.map(({ cloud }) => cloud)
  return Math.max(attempts.length, mostTries(failures, clouds, retry))
}

function presentAttempt(row: AttemptRow, now: number): LaunchDetail['attempts'][number] {
  const { id, ordinal, offer, nodeId, nodeName, nodeState, outcome, failure } = row
  return {
    id,
    ordinal,
    offer,
    nodeId,
    nodeName,
    nodeState,
    openedAt: iso(row.openedAt),
    closedAt: maybeIso(row.closedAt),
    outcome,
    failure,
    seconds: Math.max(0, (row.closedAt ?? now) - row.openedAt) / 1_000,
    costMicroUsd: costAt(row, now),
  }
}

/** The queue comes first and belongs to no attempt; then what each attempt went through. */
function phasesOf(row: LaunchRow, attempts: readonly AttemptRow[]): LaunchDetail['phases'] {
  const admittedAt = attempts[0]?.openedAt ?? row.endedAt
  const queued = {
    attemptId: null,
    phase: 'queued' as Phase,
    startedAt: iso(row.createdAt),
    endedAt: maybeIso(admittedAt),
    percent: null,
    bytes: null,
    bytesPerS: null,
  }
  const told = attempts.flatMap(({ id, phases }) =>
    phases.flatMap(({ phase, startedAt, endedAt, ...rest }) =>
      isPhase(phase) ? [{ attemptId: id, phase, startedAt: iso(startedAt), endedAt: maybeIso(endedAt), ...rest }] : [],
    ),
  )
  return [queued, ...told]
}

/** Each step lasts until the next one; the last one until the machine speaks for itself, or its phase is over. */
function stepsOf({ id, steps, phases }: AttemptRow): LaunchDetail['steps'] {
  const joined = phases.find(({ phase }) => isAgentPhase(phase))
  return steps.flatMap(({ text, startedAt }, i) => {
    const within = phases.findLast((phase) => phase.startedAt <= startedAt) ?? phases[0]
    if (!within || !isPhase(within.phase)) return []
    const lastUntil = joined && startedAt < joined.startedAt ? joined.startedAt : phaseEnd(phases, within)
    const endedAt = maybeIso(steps[i + 1]?.startedAt ?? lastUntil)
    return [{ attemptId: id, phase: within.phase, text, startedAt: iso(startedAt), endedAt }]
  })
}

/** What a cloud works on goes on from one of our phases to the next, until the attempt has no open one. */
function phaseEnd(phases: readonly PhaseRow[], within: PhaseRow): number | null {
  if (isAgentPhase(within.phase)) return within.endedAt
  return phases.some(({ endedAt }) => endedAt === null) ? null : (phases.at(-1)?.endedAt ?? null)
}
