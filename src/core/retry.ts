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

// Guesses: a refused place seldom changes within seconds, and a launch should not hammer a cloud that is full.
export const defaultRetryPolicy: RetryPolicy = {
  triesPerOffer: 2,
  rounds: 2,
  firstBackOffMs: 2_000,
  maxBackOffMs: 60_000,
  waitForGoneMs: 600_000,
}

/** Wait before attempt number `made + 1`: doubles from the first, up to the limit. */
export function backOffMs(policy: RetryPolicy, made: number): number {
  return Math.min(policy.maxBackOffMs, policy.firstBackOffMs * 2 ** Math.max(0, made - 1))
}

/**
 * The index of the offer to try next, given the failures of the tries so far in their order; null when the rounds are
 * used up or the last failure is one that no offer mends.
 */
export function nextOffer(
  failuresSoFar: readonly (FailureRecord | null)[],
  offerCount: number,
  policy: RetryPolicy,
): number | null {
  if (offerCount === 0 || failuresSoFar.at(-1)?.retry === 'never') return null
  let offer = 0
  let triesHere = 0
  let round = 1
  for (const failure of failuresSoFar) {
    triesHere += 1
    if (failure?.retry === 'same' && triesHere < policy.triesPerOffer) continue
    triesHere = 0
    offer = (offer + 1) % offerCount
    if (offer === 0) round += 1
  }
  return round > policy.rounds ? null : offer
}
