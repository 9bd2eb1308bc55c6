import type { FailureCode, FailureRecord } from './failure.ts'

/** How long what clouds said about room is remembered, and how much it weighs against the price. */
export interface CapacityPolicy {
  /** After this long a word weighs half. */
  readonly halfLifeMs: number
  /** A fresh refusal makes an offer compare as if its price were this many times as high; each further one again. */
  readonly refusalFactor: number
  /** A fresh success makes it compare as if its price were this share of itself. */
  readonly successFactor: number
}

// Guesses: a place that is full is seldom free within minutes and seldom full for a day; a little dearer and there beats
// a little cheaper and full.
export const defaultCapacityPolicy: CapacityPolicy = {
  halfLifeMs: 30 * 60_000,
  refusalFactor: 2,
  successFactor: 0.9,
}

// Beyond this many half-lives a refusal moves a price by less than a twentieth.
const rememberedHalfLives = 4
// Among offers that cost nothing only the memory decides; a bound keeps the numbers readable.
const mostRefusals = 6

export const rememberedMs = (policy: CapacityPolicy): number => policy.halfLifeMs * rememberedHalfLives

/** What could be asked for, as far as clouds have room for it or not. */
export interface Place {
  readonly cloud: string
  readonly region: string
  readonly gpu: string | null
  readonly gpuCount: number
  readonly spot: boolean
}

/** What a cloud answered to one ask. */
export interface CapacityWord extends Place {
  readonly at: number
  /** Null: the machine came. */
  readonly refusedFor: string | null
}

/** Of which failures a place is told to have no room, and how far each reaches. */
const reaches: Readonly<Partial<Record<FailureCode, 'place' | 'cloud'>>> = {
  no_capacity: 'place',
  no_quota: 'place',
  // The machine never showed up, or was taken away again.
  boot_timeout: 'place',
  node_vanished: 'place',
  reclaimed: 'place',
  cloud_refused: 'place',
  cloud_credentials: 'cloud',
  cloud_version: 'cloud',
  task_refused: 'cloud',
}

/** A launch cancelled at its server, a foreign name and a fault of ours carry such a code too, and say nothing of the place. */
export const isRefusal = ({ code, fault, retry }: FailureRecord): boolean =>
  Object.hasOwn(reaches, code) && fault !== 'us' && (code !== 'cloud_refused' || retry === 'not_here')

/** What is remembered of an offer; null where no word about it is young enough. */
export interface Standing {
  /** Its price counts as this many times itself when offers are compared. */
  readonly factor: number
  /** Since the last machine came. */
  readonly refusals: number
  readonly refusedAt: number | null
  readonly refusedFor: string | null
  readonly gaveAt: number | null
}

/** No room for two means no room for four, and a machine with four says that there was room for two. */
function speaksFor(word: CapacityWord, place: Place): boolean {
  if (word.cloud !== place.cloud) return false
  if (word.refusedFor !== null && reaches[word.refusedFor as FailureCode] === 'cloud') return true
  const same = word.region === place.region && word.gpu === place.gpu && word.spot === place.spot
  return same && (word.refusedFor === null ? word.gpuCount >= place.gpuCount : word.gpuCount <= place.gpuCount)
}

/** Refusals count until a machine came after all; both fade. */
export function standingOf(
  place: Place,
  words: readonly CapacityWord[],
  policy: CapacityPolicy,
  now: number,
): Standing | null {
  const young = words.filter((word) => now - word.at < rememberedMs(policy) && speaksFor(word, place))
  const gaveAt = latest(young.filter(({ refusedFor }) => refusedFor === null))?.at ?? null
  const refusals = young.filter(({ refusedFor, at }) => refusedFor !== null && at > (gaveAt ?? 0))
  const last = latest(refusals)
  if (gaveAt === null && !last) return null
  const weight = (at: number) => 0.5 ** (Math.max(0, now - at) / policy.halfLifeMs)
  const refused = Math.min(
    mostRefusals,
    refusals.reduce((sum, { at }) => sum + weight(at), 0),
  )
  const gave = gaveAt === null ? 0 : weight(gaveAt)
  const factor = policy.refusalFactor ** refused * policy.successFactor ** gave
  return {
    factor: Math.round(factor * 1_000) / 1_000,
    refusals: refusals.length,
    refusedAt: last?.at ?? null,
    refusedFor: last?.refusedFor ?? null,
    gaveAt,
  }
}

function latest(words: readonly CapacityWord[]): CapacityWord | undefined {
  return words.reduce<CapacityWord | undefined>((best, word) => (best && best.at >= word.at ? best : word), undefined)
}
