/** A deployment with its launches that hold a slot, newest last. */
export interface DeploymentView {
  readonly wanted: number
  readonly paused: boolean
  /** Launches in a row that failed for good since the last one that got ready, or since it was resumed. */
  readonly failuresInARow: number
  readonly stopAfterFailures: number
  readonly lastFailureAt: number | null
  readonly holders: readonly SlotHolder[]
  /** Launches that gave up their slot for a notice which was withdrawn: they serve, and are about to take it back. */
  readonly returned: readonly SlotLeaver[]
  /** Launches that gave up their slot because their node is accused. What serves in the slot afterwards ends them. */
  readonly doubted: readonly SlotLeaver[]
}

export interface SlotLeaver {
  readonly launchId: string
  readonly slotId: string
}

export interface SlotHolder {
  readonly launchId: string
  readonly slotId: string
  readonly live: boolean
  readonly unwanted: boolean
  /** A machine of it is there, so that money runs. */
  readonly seen: boolean
  /** Its node gets requests: it is ready, and nobody accuses it. */
  readonly serves: boolean
  /** Requests that it has now, as far as gateways or its agent told. */
  readonly inFlight: number
}

export interface DeploymentDecision {
  readonly fill: number
  readonly withdraw: readonly string[]
  /** True while refilling has stopped by itself, until somebody resumes it. */
  readonly stopped: boolean
}

// A guess: long enough that a broken deployment does not burn money in a loop, short enough for a lost machine.
const refillBackOffMs = 5_000

/**
 * Fills slots that nothing holds and withdraws what is too many: first a replacement that is not needed any more and has
 * cost nothing yet, then the least useful. The last one that serves stays while requests are open. An accused one whose
 * slot is not filled again goes as soon as enough others serve: nothing else would end it.
 */
export function decideDeployment(view: DeploymentView, now: number): DeploymentDecision {
  const stopped = view.failuresInARow >= view.stopAfterFailures
  if (view.paused) return { fill: 0, withdraw: [], stopped }
  const back = new Set(view.returned.map(({ slotId }) => slotId))
  const needless = view.holders.filter(
    ({ slotId, live, seen, unwanted }) => back.has(slotId) && !live && !seen && !unwanted,
  )
  const kept = view.holders.filter((holder) => !holder.unwanted && !needless.includes(holder))
  const surplus = Math.max(0, kept.length - view.wanted)
  const others = [...kept].reverse().sort(byUse).slice(0, surplus)
  const lastOnes = kept.filter(({ serves }) => serves).every((holder) => others.includes(holder))
  const busy = lastOnes ? others.findLast(({ serves, inFlight }) => serves && inFlight > 0) : undefined
  const held = new Set(view.holders.map(({ slotId }) => slotId))
  const enough = kept.filter(({ serves }) => serves).length >= view.wanted
  const left = enough ? view.doubted.filter(({ slotId }) => !held.has(slotId)) : []
  const waits =
    view.lastFailureAt !== null &&
    view.failuresInARow > 0 &&
    now < view.lastFailureAt + refillBackOffMs * 2 ** (view.failuresInARow - 1)
  const missing = Math.max(0, view.wanted - view.holders.length - view.returned.length)
  return {
    fill: stopped || waits ? 0 : missing,
    withdraw: [...needless, ...others.filter((holder) => holder !== busy), ...left].map(({ launchId }) => launchId),
    stopped,
  }
}

/** The least useful first: what is not live yet, then what gets no requests, then who has the fewest of them. */
function byUse(a: SlotHolder, b: SlotHolder): number {
  return Number(a.live) - Number(b.live) || Number(a.serves) - Number(b.serves) || a.inFlight - b.inFlight
}
