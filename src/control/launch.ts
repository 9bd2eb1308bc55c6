import { decideLaunch, type LaunchDecision } from '../core/decide-launch.ts'
import { isOver, type LaunchState } from '../core/launch-table.ts'
import { timeByOffers } from '../core/launch-time.ts'
import { loopActs } from '../core/loop-table.ts'
import { rankOffers } from '../core/offer.ts'
import { offersToTry } from '../core/preflight.ts'
import { fullServerOf, holdsOf } from '../core/queue.ts'
import type { Claim } from '../store/claims.ts'
import { joinTokenFor } from '../store/join-token.ts'
import { type LaunchForLoop, loadLaunch, saveLaunchDecision } from '../store/launches.ts'
import { loadOffers, standingsNow } from '../store/offers.ts'
import { lookAtQueue, type Queue } from '../store/queue.ts'
import { timeOfLaunch } from '../store/time-spent.ts'
import { type ControlDeps, paceNow } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

const restMs: Readonly<Partial<Record<LaunchState, number>>> = {
  queued: 5_000,
  // Each step of its node wakes it.
  attempting: 10_000,
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
    acts: loopActs.launch,
    pass: (claim) => reconcileLaunch(deps, claim),
  }
}

/** Moves one claimed launch one step: it admits, opens attempts, withdraws nodes; the nodes' own loop does the rest. */
export async function reconcileLaunch(deps: ControlDeps, claim: Claim): Promise<PassResult> {
  const { db, settings, clock } = deps
  const found = await loadLaunch(db, claim.rowId)
  if (!found) return { moved: false, nextDueAt: null }
  const now = clock.now()
  const launch = await placed(deps, await withGrace(deps, found), now)
  const next = await decide(deps, launch, now)
  const terms = {
    install: deps.install,
    limits: settings,
    joinTokenMs: settings.joinTokenMs,
    joinTokenFor: (nodeId: string) => joinTokenFor(deps.vault, nodeId),
  }
  const saved = await saveLaunchDecision(db, claim, launch, next, terms, now)
  const moved = saved && next.fact !== null
  if (isOver(next.state) && saved) return { moved, nextDueAt: null }
  if (moved) return { moved, nextDueAt: now }
  const rest = now + (restMs[next.state] ?? 30_000)
  const { deadlineAt } = launch
  if (next.state === 'live') return { moved, nextDueAt: rest, rests: true }
  if (deadlineAt === null) return { moved, nextDueAt: rest }
  return { moved, nextDueAt: Math.min(rest, Math.max(now + 50, deadlineAt)) }
}

/** A limit that ran out while nobody watched ends nothing yet: what came up meanwhile has yet to say so. */
async function withGrace(deps: ControlDeps, launch: LaunchForLoop): Promise<LaunchForLoop> {
  const { continuity } = deps
  if (launch.createdAt >= continuity.since || launch.deadlineAt === null) return launch
  const deadlineAt = Math.max(launch.deadlineAt, continuity.since + (await paceNow(deps)).graceMs)
  return { ...launch, deadlineAt, view: { ...launch.view, deadlineAt } }
}

/** Where the time went is asked only when it has run out. */
async function decide({ db, settings }: ControlDeps, launch: LaunchForLoop, now: number): Promise<LaunchDecision> {
  const { view } = launch
  const next = decideLaunch(view, settings.retry, now)
  if (next.fact !== 'expired') return next
  const { createdAt: from, deadlineAt, time } = launch
  const limitMs = time.waitsCount && deadlineAt !== null ? deadlineAt - from : time.limitMs
  const window = { from, limitMs, now, waitsCount: time.waitsCount }
  return decideLaunch({ ...view, spent: await timeOfLaunch(db, launch.id, window) }, settings.retry, now)
}

/** With what the queue says of it: whether it may begin, or which clouds' servers take no further try. */
async function placed(deps: ControlDeps, launch: LaunchForLoop, now: number): Promise<LaunchForLoop> {
  const { db, settings } = deps
  const { view } = launch
  if (view.state !== 'queued' && view.state !== 'backing_off') return launch
  const queue = await lookAtQueue(db)
  if (view.state === 'backing_off') {
    const full = view.offerClouds.filter((cloud) => fullServerOf(cloud, queue, settings) !== null)
    return { ...launch, view: { ...view, fullClouds: new Set(full) } }
  }
  const mayBegin = (order: Queue['order']) => holdsOf(order, queue, settings).get(launch.id) === null
  if (!mayBegin(queue.order)) return launch
  const offers = await rankedAnew(deps, launch, now)
  const cloud = offers[0]?.cloud ?? null
  const admitted = mayBegin(queue.order.map((one) => (one.launchId === launch.id ? { ...one, cloud } : one)))
  const time = launch.time.waitsCount ? launch.time : timeByOffers(settings, offers)
  return { ...launch, offers, time, view: { ...view, admitted, offerClouds: offers.map((offer) => offer.cloud) } }
}

/** Prices and what clouds said may have changed while it waited. Where nothing is offered just now, what was is tried. */
async function rankedAnew(
  { db, settings }: ControlDeps,
  launch: LaunchForLoop,
  now: number,
): Promise<LaunchForLoop['offers']> {
  const ranked = rankOffers(await loadOffers(db), launch.wish, await standingsNow(db, settings.capacity, now))
  const offers = offersToTry(settings, launch, ranked)
  return offers.length > 0 ? offers : launch.offers
}
