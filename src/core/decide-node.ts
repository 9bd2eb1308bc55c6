import { type FailureRecord, failureRecord } from './failure.ts'
import { type GpuFault, gpuFailure, isBroken } from './gpu-fault.ts'
import { stepOf } from './machine-table.ts'
import { type NodeFact, type NodeState, nodeTable } from './node-table.ts'
import { drainUntil, endsMachine, type Notice, reclaimed, releaseNotBefore } from './notice.ts'
import { evidenceOf, type TimeSpent, whereTimeWent } from './time-limit.ts'
import { isAccused, type Verdict } from './verdict-table.ts'

/** What a cloud is like, as far as deciding needs to know. All in ms. */
export interface CloudTraits {
  /** A first "not there" counts only when a second one follows at least this much later. */
  readonly confirmGoneMs: number
  /** After an ask the cloud may list the machine this much later; until then "not there" says nothing. */
  readonly listingLagMs: number
  /** An ask whose answer was lost may still be carried out for this long; after it, an open ask is over. */
  readonly askLimitMs: number
  /** Time limits of one attempt: until the machine is seen, until its agent joins, until the engine answers. */
  readonly requestLimitMs: number
  readonly bootLimitMs: number
  readonly loadLimitMs: number
  readonly drainLimitMs: number
  /** How often the cloud is looked at: when all is quiet, and while a machine is on its way in or out. */
  readonly lookMs: number
  readonly lookFastMs: number
}

/** Everything that is known of a node when it is decided on. Times are epoch ms. */
export interface NodeView {
  readonly state: NodeState
  readonly stateSince: number
  readonly placed: boolean
  readonly unwantedAt: number | null
  readonly drainAskedAt: number | null
  /** The last ask for the machine: when, whether it is still open, and the cloud's refusal if it refused. */
  readonly askedAt: number | null
  readonly askOpen: boolean
  /** Until when the cloud's own server had it in its queue, as far as looks saw: nothing was tried until then. */
  readonly queuedUntil: number | null
  readonly refusal: FailureRecord | null
  /** The latest bulk look that covered the node's cloud; null when the cloud has said nothing yet. */
  readonly sighting: {
    /** `asked`: the cloud works on the ask and no machine is there yet, which is neither a sight nor an absence. */
    readonly seen: 'present' | 'absent' | 'asked'
    readonly at: number
    readonly absentSince: number | null
    /** Who ended the machine, where its cloud says so. */
    readonly ended?: string | null
  } | null
  readonly firstSeenAt: number | null
  readonly joinedAt: number | null
  readonly answeredAt: number | null
  /** The last authenticated word of the agent, or the last time that a gateway found its engine well. */
  readonly heardAt: number | null
  /** How long after that it counts as silent: no single heartbeat lies between two looks at its cloud. */
  readonly silentAfterMs: number
  readonly drainDeadlineAt: number | null
  readonly drainedAt: number | null
  /** Until when somebody wants to look at it, if it is to be released; null: nobody does. */
  readonly holdUntil: number | null
  readonly failure: FailureRecord | null
  readonly spot: boolean
  /** What was announced of the machine's end. */
  readonly notice: Notice | null
  readonly gpuFaults: readonly GpuFault[]
  readonly verdict: Verdict
  /** Since when somebody has been watching without a gap: time in which nobody could have helped runs no limit out. */
  readonly watchedSince: number
  /** False while the guard holds it back: it is then not released for being dead. */
  readonly mayRelease: boolean
  /** Its deployment is paused. */
  readonly paused: boolean
  /** Where the time of the attempt went; asked for only when a limit has run out. */
  readonly spent?: TimeSpent
}

export interface NodeDecision {
  readonly fact: NodeFact | null
  readonly state: NodeState
  readonly failure: FailureRecord | null
}

type Rule = readonly [NodeFact, (view: NodeView, traits: CloudTraits, now: number) => boolean]

// In order of weight: what ends a bill and what the operator wants come before what the node says of itself.
const rules: readonly Rule[] = [
  ['vanished', vanished],
  ['unwanted', (view) => view.unwantedAt !== null],
  ['refused', (view) => view.refusal !== null],
  ['failed', (view) => view.failure !== null || isTakenEarly(view)],
  ['dead', (view) => view.verdict === 'dead' && view.mayRelease],
  ['drained', (view, _, now) => view.drainedAt !== null || cannotDrain(view, now)],
  ['drain_asked', (view) => mustDrain(view)],
  ['notice_withdrawn', (view) => !mustDrain(view) && view.unwantedAt === null],
  ['answered', (view) => view.answeredAt !== null],
  ['joined', (view) => view.joinedAt !== null],
  ['sighted', sighted],
  ['expired', expired],
  ['placed', (view) => view.placed],
]

/** One step of a node towards what is wanted. Facts that the table does not know in this state are passed over. */
export function decideNode(view: NodeView, traits: CloudTraits, now: number): NodeDecision {
  for (const [fact, holds] of rules) {
    const next = stepOf(nodeTable, view.state, fact)
    if (next === undefined || !holds(view, traits, now)) continue
    if (isLeftAlone(view, fact) || isLeftToCloud(view, next, now)) continue
    const kept = next === 'releasing' && isHeld(view, now) ? stepOf(nodeTable, view.state, 'held') : undefined
    return { fact: kept ? 'held' : fact, state: kept ?? next, failure: failureOf(fact, view) }
  }
  return { fact: null, state: view.state, failure: view.failure }
}

const mustDrain = ({ drainAskedAt, notice, gpuFaults }: NodeView): boolean =>
  drainAskedAt !== null || endsMachine(notice) || isBroken(gpuFaults)

// Past what makes a heartbeat stale: the agent restarts within seconds where it can.
const silentMs = 60_000

/** Its engine answers nobody and its agent is silent: nothing is in flight there, and nobody is left to say so. */
const cannotDrain = ({ state, verdict, heardAt, watchedSince }: NodeView, now: number): boolean =>
  state === 'draining' && isAccused(verdict) && now - Math.max(heardAt ?? watchedSince, watchedSince) >= silentMs

/**
 * It would be taken before it serves, or soon after: another place does better. A signal alone is no reason: an agent that
 * is restarted while its engine loads had one, too, and of a machine that stopped nobody hears any more.
 */
const isTakenEarly = ({ state, notice, gpuFaults }: NodeView): boolean =>
  (state === 'booting' || state === 'loading') &&
  ((endsMachine(notice) && notice.source !== 'signal') || isBroken(gpuFaults))

/** Who pauses a deployment keeps its replicas as they are: only a person, a notice or the machine's own end takes one away. */
const isLeftAlone = ({ paused, state }: NodeView, fact: NodeFact): boolean =>
  paused && state === 'ready' && (fact === 'dead' || fact === 'failed')

/** Who releases a node by hand is obeyed at once, whatever its cloud would have done. */
const isLeftToCloud = ({ state, unwantedAt, notice, spot, firstSeenAt }: NodeView, next: NodeState, now: number) =>
  state === 'draining' &&
  next === 'releasing' &&
  unwantedAt === null &&
  notice !== null &&
  now < (releaseNotBefore(notice, spot, firstSeenAt) ?? now)

/** Who releases it is obeyed at once, whoever wanted to look at it. */
const isHeld = ({ holdUntil, unwantedAt }: NodeView, now: number): boolean =>
  holdUntil !== null && now < holdUntil && unwantedAt === null

/** The cloud said "not there" twice, with time between, while no ask was open and the node itself was silent. */
function vanished(view: NodeView, traits: CloudTraits): boolean {
  const { sighting } = view
  if (view.state === 'releasing' && wasNeverAsked(view)) return true
  if (sighting?.seen !== 'absent' || sighting.absentSince === null) return false
  if (sighting.absentSince < absenceCountsFrom(view, traits)) return false
  // Whose end we asked for may be silent already; of any other its cloud is one witness alone.
  if (view.state !== 'releasing' && sighting.at - (view.heardAt ?? 0) < view.silentAfterMs) return false
  return sighting.at - sighting.absentSince >= traits.confirmGoneMs
}

/**
 * Nothing was asked under this name, and an ask is kept before it is made: the cloud can have nothing, and one that is
 * away, or refuses our token, could not say so.
 */
const wasNeverAsked = ({ askedAt, firstSeenAt, joinedAt, sighting }: NodeView): boolean =>
  askedAt === null && firstSeenAt === null && joinedAt === null && (sighting === null || sighting.seen === 'absent')

/** "Not there" said before this time says nothing: the machine may still come or be listed, or the node spoke since. */
export function absenceCountsFrom(
  view: Pick<NodeView, 'askedAt' | 'askOpen' | 'heardAt'>,
  traits: Pick<CloudTraits, 'askLimitMs' | 'listingLagMs'>,
): number {
  const heard = view.heardAt === null ? Number.NEGATIVE_INFINITY : view.heardAt + 1
  if (view.askedAt === null) return heard
  return Math.max(heard, view.askedAt + (view.askOpen ? traits.askLimitMs : 0) + traits.listingLagMs)
}

/** For a node that is gone only a look made after its end counts: an old one is how it was before. */
function sighted(view: NodeView): boolean {
  if (view.sighting?.seen !== 'present') return false
  return view.state !== 'gone' || view.sighting.at > view.stateSince
}

const limits: Readonly<Partial<Record<NodeState, keyof CloudTraits>>> = {
  requesting: 'requestLimitMs',
  booting: 'bootLimitMs',
  loading: 'loadLimitMs',
  draining: 'drainLimitMs',
}

/**
 * When the node's state runs out, or null where it may last for ever. A request is timed from the ask, or from when its
 * cloud's own server began with it; the rest from the state's begin; none from before we were there to do our part.
 */
export function stateLimitAt(view: TimedView, traits: CloudTraits): number | null {
  const { from, limitMs } = stateLimit(view, traits) ?? {}
  return from === undefined || limitMs === undefined ? null : from + limitMs
}

type TimedView = Pick<
  NodeView,
  'state' | 'stateSince' | 'askedAt' | 'queuedUntil' | 'drainDeadlineAt' | 'notice' | 'watchedSince' | 'holdUntil'
>

/** From when the time of the node's state counts, and how much of it there is. */
export function stateLimit(view: TimedView, traits: CloudTraits): { from: number; limitMs: number } | null {
  // Whoever let it go before its time has set none.
  if (view.state === 'held') return { from: view.stateSince, limitMs: (view.holdUntil ?? 0) - view.stateSince }
  const limit = limits[view.state]
  if (limit === undefined) return null
  if (view.state === 'draining') {
    const deadlineAt = drainUntil(view)
    return { from: view.stateSince, limitMs: deadlineAt === null ? traits[limit] : deadlineAt - view.stateSince }
  }
  const from = view.state === 'requesting' ? view.askedAt : view.stateSince
  if (from === null) return null
  const begunAt = view.state === 'requesting' ? Math.max(from, view.queuedUntil ?? from) : from
  return { from: Math.max(begunAt, view.watchedSince), limitMs: traits[limit] }
}

function expired(view: NodeView, traits: CloudTraits, now: number): boolean {
  const limitAt = stateLimitAt(view, traits)
  return limitAt !== null && now >= limitAt
}

function failureOf(fact: NodeFact, view: NodeView): FailureRecord | null {
  if (view.failure) return view.failure
  if (fact === 'refused') return view.refusal
  const faulty = isTaken(fact, view) || fact === 'drain_asked' ? gpuFailure(view.gpuFaults) : null
  if (faulty) return faulty
  if (isTaken(fact, view) && endsMachine(view.notice)) return reclaimed(view.notice)
  if (fact === 'dead') return failureRecord('node_dead', 'All three witnesses called the node dead.')
  if (fact === 'vanished' && view.state !== 'releasing') {
    const who = view.sighting?.ended ? `: ${view.sighting.ended}` : '.'
    return failureRecord('node_vanished', `The machine vanished while it was ${view.state}${who}`)
  }
  if (fact === 'expired' && view.state !== 'draining' && view.state !== 'held') return expiryFailure(view)
  return null
}

/** The node ends for what is said of its machine, and not because somebody wanted that. */
const isTaken = (fact: NodeFact, { state, unwantedAt }: NodeView): boolean =>
  unwantedAt === null &&
  (fact === 'failed' ||
    (fact === 'vanished' && state !== 'releasing') ||
    (state === 'draining' && fact !== 'notice_withdrawn'))

function expiryFailure({ state, spent }: NodeView): FailureRecord {
  const where = spent ? whereTimeWent(spent) : null
  const told = (code: 'boot_timeout' | 'never_joined' | 'load_timeout', cause: string) =>
    failureRecord(code, where ? `${cause} ${where.cause}` : cause, {
      ...(where ? { remedy: where.remedy } : {}),
      ...(spent ? evidenceOf(spent) : {}),
    })
  if (state === 'requesting') return told('boot_timeout', 'The cloud never showed the machine within the time limit.')
  if (state === 'booting')
    return told('never_joined', 'The machine was seen, but its agent did not join within the time limit.')
  return told('load_timeout', 'The engine did not answer within the time limit.')
}
