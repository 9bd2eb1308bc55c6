import { decideLaunch, type LaunchDecision, type LaunchView } from '../core/decide-launch.ts'
import { isOver, type LaunchState } from '../core/launch-table.ts'
import type { Claim } from '../store/claims.ts'
import { joinTokenFor } from '../store/join-token.ts'
import { type LaunchForLoop, loadLaunch, lookAtQueue, saveLaunchDecision } from '../store/launches.ts'
import { timeOfLaunch } from '../store/time-spent.ts'
import type { ControlDeps } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

const restMs: Readonly<Partial<Record<LaunchState, number>>> = {
  queued: 5_000,
  attempting: 5_000,
  backing_off: 500,
  live: 30_000,
  ending: 2_000,
}

/** The only writer of launch state. */
export function launchLoop(deps: ControlDeps): Loop {
  return {
    name: 'launch',
    everyMs: 30_000,
    parallel: 8,
    holdMs: deps.settings.claimHoldMs,
    acts: true,
    pass: (claim) => reconcileLaunch(deps, claim),
  }
}

/** Moves one claimed launch one step: it admits, opens attempts, withdraws nodes; the nodes' own loop does the rest. */
export async function reconcileLaunch(deps: ControlDeps, claim: Claim): Promise<PassResult> {
  const { db, settings, clock } = deps
  const launch = await loadLaunch(db, claim.rowId)
  if (!launch) return { moved: false, nextDueAt: null }
  const now = clock.now()
  const view = { ...launch.view, admitted: await isAdmitted(deps, launch) }
  const next = await decide(deps, launch, view, now)
  const terms = {
    install: deps.install,
    attemptsInFlight: settings.attemptsInFlight,
    joinTokenMs: settings.joinTokenMs,
    joinTokenFor: (nodeId: string) => joinTokenFor(deps.vault, nodeId),
  }
  const saved = await saveLaunchDecision(db, claim, launch, next, terms, now)
  const moved = saved && next.fact !== null
  if (isOver(next.state) && saved) return { moved, nextDueAt: null }
  if (moved) return { moved, nextDueAt: now }
  const rest = now + (restMs[next.state] ?? 30_000)
  return { moved, nextDueAt: next.state === 'live' ? rest : Math.min(rest, Math.max(now + 50, launch.deadlineAt)) }
}

/** Where the time went is asked only when it has run out. */
async function decide(
  deps: ControlDeps,
  launch: LaunchForLoop,
  view: LaunchView,
  now: number,
): Promise<LaunchDecision> {
  const { db, settings } = deps
  const next = decideLaunch(view, settings.retry, now)
  if (next.fact !== 'expired') return next
  const window = { from: launch.createdAt, limitMs: launch.deadlineAt - launch.createdAt, now }
  return decideLaunch({ ...view, spent: await timeOfLaunch(db, launch.id, window) }, settings.retry, now)
}

async function isAdmitted(deps: ControlDeps, launch: LaunchForLoop): Promise<boolean> {
  if (launch.view.state !== 'queued') return false
  const { order, inFlight } = await lookAtQueue(deps.db)
  const place = order.indexOf(launch.id)
  return place >= 0 && place < deps.settings.attemptsInFlight - inFlight
}
