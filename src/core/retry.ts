import type { FailureRecord } from './failure.ts'

/** How often and how fast a launch tries again. This is the one place to change the retry policy. */
export interface RetryPolicy {
  /** Tries at one offer whose failure says `same`. */
  readonly triesPerOffer: number
  /** Times that the whole list of offers is gone through. */
  readonly rounds: number
  readonly firstBackOffMs: number
  readonly maxBackOffMs: number
  /** A next attempt waits this long at most for the last machine to be gone. */
  readonly waitForGoneMs: number
}

// Guesses: a refused place seldom changes within seconds. Another place has nothing to do with that, so nothing is waited for.
export const defaultRetryPolicy: RetryPolicy = {
  triesPerOffer: 2,
  rounds: 2,
  firstBackOffMs: 2_000,
  maxBackOffMs: 60_000,
  waitForGoneMs: 600_000,
}

/** Wait before the next attempt: none at an offer that was not tried yet; from its first try on it doubles, up to the limit. */
export function backOffMs(
  failuresSoFar: readonly (FailureRecord | null)[],
  clouds: readonly string[],
  policy: RetryPolicy,
): number {
  const { offer, tries } = afterTries(failuresSoFar, clouds, policy)
  const made = offer === null ? 0 : (tries[offer] ?? 0)
  return made === 0 ? 0 : Math.min(policy.maxBackOffMs, policy.firstBackOffMs * 2 ** (made - 1))
}

// Of these the other offers of the cloud would fail just so; those of another cloud need not.
const ofWholeCloud: ReadonlySet<string> = new Set([
  'cloud_credentials',
  'cloud_version',
  'task_refused',
  'command_not_found',
])
// A text that nobody has seen before may be a passing trouble; twice at one cloud it is not.
const mostUnknown = 2

/**
 * The index of the offer to try next, given the failures of the tries so far in their order and the clouds of the
 * offers; null when the rounds are used up or the last failure is one that no offer mends.
 */
export function nextOffer(
  failuresSoFar: readonly (FailureRecord | null)[],
  clouds: readonly string[],
  policy: RetryPolicy,
): number | null {
  return afterTries(failuresSoFar, clouds, policy).offer
}

/** How many tries there may be in all, those so far among them: as if each to come failed in a way that is tried again there. */
export function mostTries(
  failuresSoFar: readonly (FailureRecord | null)[],
  clouds: readonly string[],
  policy: RetryPolicy,
): number {
  const { offer, triesHere, turns } = afterTries(failuresSoFar, clouds, policy)
  if (offer === null) return failuresSoFar.length
  const turnsLeft = turns.reduce((sum, used) => sum + policy.rounds - used, 0)
  return failuresSoFar.length + turnsLeft * policy.triesPerOffer - triesHere
}

interface AfterTries {
  /** What is tried next. */
  readonly offer: number | null
  /** Tries at it within its turn that is not over. */
  readonly triesHere: number
  /** Turns that each offer has used up, and how often it was tried. */
  readonly turns: readonly number[]
  readonly tries: readonly number[]
}

function afterTries(
  failuresSoFar: readonly (FailureRecord | null)[],
  clouds: readonly string[],
  policy: RetryPolicy,
): AfterTries {
  const turns = clouds.map(() => 0)
  const tries = clouds.map(() => 0)
  if (failuresSoFar.at(-1)?.retry === 'never') return { offer: null, triesHere: 0, turns, tries }
  const unknown = new Map<string, number>()
  const leastTried = () => {
    const fewest = Math.min(policy.rounds, ...turns)
    return fewest < policy.rounds ? turns.indexOf(fewest) : null
  }
  let offer = leastTried()
  let triesHere = 0
  for (const failure of failuresSoFar) {
    if (offer === null) break
    const cloud = clouds[offer] ?? ''
    triesHere += 1
    tries[offer] = (tries[offer] ?? 0) + 1
    if (failure?.code === 'cloud_unknown') unknown.set(cloud, (unknown.get(cloud) ?? 0) + 1)
    const wholeCloud = ofWholeCloud.has(failure?.code ?? '') || (unknown.get(cloud) ?? 0) >= mostUnknown
    const barred = failure?.retry === 'not_here' || wholeCloud
    if (!barred && failure?.retry === 'same' && triesHere < policy.triesPerOffer) continue
    triesHere = 0
    turns[offer] = barred ? policy.rounds : (turns[offer] ?? 0) + 1
    if (wholeCloud) for (const [i, other] of clouds.entries()) if (other === cloud) turns[i] = policy.rounds
    offer = leastTried()
  }
  return { offer, triesHere, turns, tries }
}
