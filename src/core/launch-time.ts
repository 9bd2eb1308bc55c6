import type { CloudTraits } from './decide-node.ts'
import type { Offer } from './offer.ts'
import type { Settings } from './settings.ts'

/** How long a launch may take. Where waits do not count, neither our queue nor that of a cloud's server costs any of it. */
export interface LaunchTime {
  readonly limitMs: number
  readonly waitsCount: boolean
}

/** What one attempt may take by its cloud's own limits, until its engine answers. */
export const attemptLimitMs = (traits: Pick<CloudTraits, 'requestLimitMs' | 'bootLimitMs' | 'loadLimitMs'>): number =>
  traits.requestLimitMs + traits.bootLimitMs + traits.loadLimitMs

// Of offers that were read by a version that kept no limits: what every launch had then.
const usualAttemptMs = 1_800_000

const ownLimitMs = (offer: Offer): number => offer.attemptLimitMs ?? usualAttemptMs

type Limits = Pick<Settings, 'launchTimeLimitS' | 'launchMaxTimeLimitS' | 'retry'>

/**
 * What an operator sets is a hard limit from the moment of asking. Without one it is what all the tries at these offers
 * may take by their own limits, up to the longest that is configured.
 */
export function launchTime(settings: Limits, askedS: number | undefined, offers: readonly Offer[]): LaunchTime {
  const given = askedS ?? settings.launchTimeLimitS
  return given === null ? timeByOffers(settings, offers) : { limitMs: given * 1_000, waitsCount: true }
}

export function timeByOffers({ launchMaxTimeLimitS, retry }: Limits, offers: readonly Offer[]): LaunchTime {
  const all = offers.reduce((sum, offer) => sum + ownLimitMs(offer), 0)
  const limitMs = Math.min(launchMaxTimeLimitS * 1_000, retry.rounds * retry.triesPerOffer * all)
  return { limitMs, waitsCount: false }
}

const minutes = (ms: number): string => `${Math.ceil(ms / 60_000)} min`

/** What a limit would cut short: clouds whose machines may take longer by themselves. */
export function warningsOfTime({ limitMs, waitsCount }: LaunchTime, offers: readonly Offer[]): string[] {
  const longest = new Map<string, number>()
  for (const offer of offers) longest.set(offer.cloud, Math.max(longest.get(offer.cloud) ?? 0, ownLimitMs(offer)))
  const cut = [...longest].filter(([, ms]) => ms > limitMs)
  if (cut.length === 0) return []
  const clouds = cut.map(([cloud, ms]) => `${cloud} (${minutes(ms)})`).join(', ')
  const setting = waitsCount ? '`--time-limit` or `launch.timeLimitS`' : '`launch.maxTimeLimitS`'
  return [
    `The time limit of ${minutes(limitMs)} is shorter than one attempt may take at ${clouds}: it may end a machine that is paid for and would have come up. Raise ${setting}, or leave it out.`,
  ]
}

/** An attempt's time; from `askedAt` to `queuedUntil` it waited in the queue of its cloud's own server. */
export interface TriedFor {
  readonly openedAt: number
  readonly closedAt: number | null
  readonly askedAt: number | null
  readonly queuedUntil: number | null
}

const queuedMs = ({ askedAt, queuedUntil }: TriedFor): number =>
  askedAt === null || queuedUntil === null ? 0 : Math.max(0, queuedUntil - askedAt)

/**
 * When the time is up as things stand: it moves on while waiting does not count. Null while nothing is tried, so that
 * no time runs. All of it is derived from rows: no restart loses what was spent.
 */
export function deadlineOf(
  createdAt: number,
  { limitMs, waitsCount }: LaunchTime,
  tried: readonly TriedFor[],
): number | null {
  if (waitsCount) return createdAt + limitMs
  let left = limitMs
  for (const attempt of tried) {
    const upAt = attempt.openedAt + queuedMs(attempt) + left
    if (attempt.closedAt === null) return upAt
    if (attempt.closedAt >= upAt) return upAt
    left -= Math.max(0, attempt.closedAt - attempt.openedAt - queuedMs(attempt))
  }
  return null
}

/** The same once one attempt more has begun. */
export function deadlineFrom(createdAt: number, time: LaunchTime, tried: readonly TriedFor[], now: number): number {
  const before = tried.map((one) => ({ ...one, closedAt: one.closedAt ?? now }))
  const next = { openedAt: now, closedAt: null, askedAt: null, queuedUntil: null }
  return deadlineOf(createdAt, time, [...before, next]) ?? now
}
