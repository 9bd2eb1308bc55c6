import { type FailureRecord, failureRecord } from './failure.ts'
import { isOver, type LaunchFact, type LaunchOutcome, type LaunchState, launchTable } from './launch-table.ts'
import { stepOf } from './machine-table.ts'
import type { NodeState } from './node-table.ts'
import { backOffMs, nextOffer, type RetryPolicy } from './retry.ts'
import { evidenceOf, type TimeSpent, whereTimeWent } from './time-limit.ts'

/** One try at one offer, with its node as it is now. Attempts are ordered; the last one is the current one. */
export interface AttemptView {
  readonly closedAt: number | null
  readonly nodeState: NodeState
  readonly nodeStateSince: number
  readonly nodeReadyAt: number | null
  /** A person wanted it drained, so its end is none that has to be explained. */
  readonly drainAsked: boolean
  /** It is accused, and another machine is to take its place. */
  readonly replaceAsked: boolean
  readonly failure: FailureRecord | null
}

export interface LaunchView {
  readonly state: LaunchState
  readonly stateSince: number
  readonly outcome: LaunchOutcome | null
  readonly unwantedAt: number | null
  /** What a withdrawal means: a person cancelled, or the deployment needs one less. */
  readonly unwantedOutcome: 'cancelled' | 'ended'
  /** Null while no time runs that counts. */
  readonly deadlineAt: number | null
  /** The cloud of each offer, in ranked order. */
  readonly offerClouds: readonly string[]
  /** Clouds whose server works on as many launches as it should. */
  readonly fullClouds: ReadonlySet<string>
  readonly attempts: readonly AttemptView[]
  readonly admitted: boolean
  /** Who holds the launch's slot: itself, nobody, or another launch, which may serve already. */
  readonly slot: 'ours' | 'free' | 'taken' | 'served'
  readonly failure: FailureRecord | null
  /** An accused node that is replaced is kept while the guard holds, since it may be us who are cut off, and in a pause. */
  readonly keepsReplaced: boolean
  /** Where its time went; asked for only when the limit has run out. */
  readonly spent?: TimeSpent
}

export interface LaunchDecision {
  readonly fact: LaunchFact | null
  readonly state: LaunchState
  readonly outcome: LaunchOutcome | null
  readonly failure: FailureRecord | null
  /** The offer to open a new attempt at, or null. */
  readonly openAttemptAt: number | null
  /** The current attempt is over: its end is recorded in the same write. */
  readonly closeAttempt: boolean
  /** Every node of the launch that still lives must end. */
  readonly withdrawNodes: boolean
  readonly holdsSlot: boolean
}

// One that is held serves nobody any more, and costs money for a person's sake only.
const leaving: readonly NodeState[] = ['held', 'releasing', 'gone']

/** One step of a launch. It reads rows only; what is asked of the world hangs on the node's state. */
export function decideLaunch(view: LaunchView, policy: RetryPolicy, now: number): LaunchDecision {
  const fact = factOf(view, policy, now)
  const state = (fact && stepOf(launchTable, view.state, fact)) || view.state
  const entered = state !== view.state ? fact : null
  const outcome = state === 'ending' ? (view.outcome ?? outcomeOf(fact, view)) : view.outcome
  const current = view.attempts.at(-1)
  const opens = entered === 'admitted' || entered === 'retry_due'
  const tried = view.attempts.map(({ failure }) => failure)
  return {
    fact: entered,
    state,
    outcome,
    failure: entered ? failureFor(entered, view) : view.failure,
    openAttemptAt: opens ? nextOffer(tried, view.offerClouds, policy) : null,
    closeAttempt: current !== undefined && current.closedAt === null && attemptIsOver(state, current),
    withdrawNodes: state === 'ending' && view.attempts.some(({ nodeState }) => mustEnd(nodeState, outcome)),
    holdsSlot: holdsSlot(state, current) && (view.slot === 'ours' || view.slot === 'free'),
  }
}

/** A launch that ends otherwise leaves a node that is held to whoever holds it; one that is cancelled leaves nothing. */
const mustEnd = (node: NodeState, outcome: LaunchOutcome | null): boolean =>
  !leaving.includes(node) || (node === 'held' && outcome === 'cancelled')

function factOf(view: LaunchView, policy: RetryPolicy, now: number): LaunchFact | null {
  if (isOver(view.state)) return null
  const current = view.attempts.at(-1)
  if (view.state === 'ending') {
    const clear = view.attempts.every((attempt) => attempt.nodeState === 'gone')
    return clear && view.outcome ? `cleared_${view.outcome}` : null
  }
  if (view.unwantedAt !== null) return 'unwanted'
  if (view.state === 'live') return factOfLive(view, current)
  if (view.deadlineAt !== null && now >= view.deadlineAt) return 'expired'
  const tried = view.attempts.map(({ failure }) => failure)
  const next = nextOffer(tried, view.offerClouds, policy)
  const exhausted = next === null
  if (view.state === 'queued') return exhausted ? 'exhausted' : view.admitted ? 'admitted' : null
  if (!current) return null
  if (view.state === 'attempting') {
    if (current.nodeState === 'ready') return 'node_ready'
    if (!leaving.includes(current.nodeState)) return null
    return exhausted ? 'exhausted' : 'attempt_failed'
  }
  // A node may tell why it failed after its attempt was given up: then there may be nothing left to try.
  if (exhausted) return 'exhausted'
  if (next !== null && view.fullClouds.has(view.offerClouds[next] ?? '')) return null
  return retryDue(view, current, policy, now) ? 'retry_due' : null
}

/** A drain may be withdrawn, so only a node that leaves is lost. One whose replacement serves is not needed any more. */
function factOfLive({ slot, keepsReplaced }: LaunchView, current: AttemptView | undefined): LaunchFact | null {
  if (!current) return null
  if (leaving.includes(current.nodeState)) return 'node_lost'
  if (current.nodeState !== 'ready' || slot !== 'served') return null
  return current.replaceAsked && keepsReplaced ? null : 'unwanted'
}

const givenUp = (state: NodeState): boolean => state === 'draining' || leaving.includes(state)

/** A next try waits for the last machine to be gone, but not for ever: a cloud that is silent must not stop the launch. */
function retryDue(view: LaunchView, current: AttemptView, policy: RetryPolicy, now: number): boolean {
  const tried = view.attempts.map(({ failure }) => failure)
  if (now < view.stateSince + backOffMs(tried, view.offerClouds, policy)) return false
  return ['held', 'gone'].includes(current.nodeState) || now >= view.stateSince + policy.waitForGoneMs
}

function attemptIsOver(state: LaunchState, attempt: AttemptView): boolean {
  return leaving.includes(attempt.nodeState) || isOver(state)
}

function outcomeOf(fact: LaunchFact | null, view: LaunchView): LaunchOutcome {
  if (fact === 'unwanted') return view.unwantedOutcome
  if (fact === 'expired') return 'timed_out'
  return fact === 'node_lost' ? 'ended' : 'failed'
}

function failureFor(fact: LaunchFact, view: LaunchView): FailureRecord | null {
  const current = view.attempts.at(-1)
  const last = current?.failure ?? null
  if (fact === 'unwanted') {
    return view.unwantedOutcome === 'cancelled' ? failureRecord('cancelled', 'It was cancelled by hand.') : view.failure
  }
  if (fact === 'expired') return timeoutFailure(view, last)
  if (view.attempts.length === 0 && fact === 'exhausted')
    return failureRecord('no_offer_fits', 'There is no offer to try.')
  if (fact === 'node_lost' && current?.drainAsked) return last
  if (fact === 'attempt_failed' || fact === 'exhausted' || fact === 'node_lost') {
    return last ?? failureRecord('node_vanished', 'The machine ended without a word.')
  }
  // What ended an attempt is kept with it, and is no failure of a launch that goes on.
  return fact === 'node_ready' || fact === 'retry_due' ? null : view.failure
}

function timeoutFailure({ spent }: LaunchView, last: FailureRecord | null): FailureRecord {
  const where = spent ? whereTimeWent(spent) : null
  const before = last ? ` The last attempt had failed: ${last.cause}` : ''
  const cause = `The time limit of the launch ran out${where ? `: ${where.cause}` : '.'}${before}`
  return failureRecord('launch_timeout', cause, {
    ...(where ? { remedy: where.remedy } : {}),
    ...(spent ? evidenceOf(spent) : {}),
  })
}

/**
 * A slot is held until the launch ended without a node, or its node was given up. A node that never served holds it
 * until it is gone, so that no second engine starts for the slot while the first may still run.
 */
function holdsSlot(state: LaunchState, current: AttemptView | undefined): boolean {
  if (isOver(state)) return false
  if (!current || state === 'queued' || state === 'attempting' || state === 'backing_off') return true
  if (current.nodeState === 'held') return false
  if (current.nodeReadyAt === null) return current.nodeState !== 'gone'
  return !givenUp(current.nodeState) && !current.replaceAsked
}
