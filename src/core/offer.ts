import { type FailureRecord, failureRecord } from './failure.ts'
import type { Standing } from './offer-memory.ts'

/** What could be bought: one machine of one kind in one place. `gpu` null is a machine without a GPU. */
export interface Offer {
  readonly id: string
  readonly cloud: string
  readonly region: string
  readonly gpu: string | null
  readonly gpuCount: number
  readonly vramGib: number
  readonly spot: boolean
  readonly pricePerHourMicroUsd: number
  /** How many of it can be had now; null where the cloud does not say. */
  readonly available: number | null
  /** What one attempt at it may take until its engine answers; what an earlier version read has none. */
  readonly attemptLimitMs?: number
  /** The cloud's name of the machine type that the price is of, where it sells types; what an earlier version read has none. */
  readonly instanceType?: string
  /** Of the machine itself, where that is known. */
  readonly memoryGib?: number
}

/** An offer with what is remembered of it, which was part of its rank; null where nothing is. */
export interface RankedOffer extends Offer {
  readonly standing: Standing | null
}

/** `first`: every wished spot offer is tried before the first one on demand. */
export const spotRules = ['allow', 'only', 'never', 'first'] as const

/** What a launch asks of an offer; lists are in order of preference. Null and empty mean that anything will do. */
export interface Wish {
  readonly clouds: readonly string[]
  readonly regions: readonly string[]
  readonly gpus: readonly string[]
  readonly gpuCount: number | null
  readonly spot: (typeof spotRules)[number]
  readonly maxPricePerHourMicroUsd: number | null
}

export const anyWish: Wish = {
  clouds: [],
  regions: [],
  gpus: [],
  gpuCount: null,
  spot: 'allow',
  maxPricePerHourMicroUsd: null,
}

/** The place of a value among those that are wished, the same for all where nothing is; negative: it is not wished. */
const placeIn = (wished: readonly string[], value: string | null): number =>
  wished.length === 0 ? 0 : value === null ? -1 : wished.indexOf(value)

export const wishesCloud = (wish: Pick<Wish, 'clouds'>, cloud: string): boolean => placeIn(wish.clouds, cloud) >= 0

const tests: readonly [string, (wish: Wish, offer: Offer) => boolean][] = [
  ['cloud', (wish, offer) => wishesCloud(wish, offer.cloud)],
  ['region', (wish, offer) => placeIn(wish.regions, offer.region) >= 0],
  ['GPU', (wish, offer) => placeIn(wish.gpus, offer.gpu) >= 0],
  ['GPU count', (wish, offer) => wish.gpuCount === null || wish.gpuCount === offer.gpuCount],
  ['spot', (wish, offer) => wish.spot === 'allow' || wish.spot === 'first' || (wish.spot === 'only') === offer.spot],
  [
    'price',
    (wish, offer) =>
      wish.maxPricePerHourMicroUsd === null || offer.pricePerHourMicroUsd <= wish.maxPricePerHourMicroUsd,
  ],
]

/** When a cloud last said what it offers, in epoch ms; `failure`: why it does not say so now. */
export interface OfferRead {
  readonly cloud: string
  readonly readAt: number | null
  readonly failedAt: number | null
  readonly failure: FailureRecord | null
}

// A guess: ten looks in a row got no answer.
const offersStaleMs = 300_000

/** What is known of a cloud's offers is old: prices and rooms may have changed. */
export const isStale = ({ readAt }: OfferRead, now: number): boolean => readAt === null || now - readAt > offersStaleMs

const nothingRemembered = (): Standing | null => null

/**
 * Offers that satisfy the wish, in the order of its lists: the first GPU wherever it is to be had before the second one,
 * of one GPU the clouds, of one cloud the regions. Of those that are wished alike, the ones that are not known to be taken
 * come first, then the cheaper as the memory of each weighs its price; then by id, so that ties are stable.
 */
export function rankOffers(
  offers: readonly Offer[],
  wish: Wish,
  standingOf: (offer: Offer) => Standing | null = nothingRemembered,
): RankedOffer[] {
  return offers
    .filter((offer) => tests.every(([, fits]) => fits(wish, offer)))
    .map((offer) => ({ ...offer, standing: standingOf(offer) }))
    .sort((a, b) => firstDifference(rankOf(a, wish), rankOf(b, wish)) || (a.id < b.id ? -1 : 1))
}

/** Smaller is better; the first number that differs decides. */
function rankOf(offer: RankedOffer, wish: Wish): readonly number[] {
  const factor = offer.standing?.factor ?? 1
  return [
    wish.spot === 'first' && !offer.spot ? 1 : 0,
    placeIn(wish.gpus, offer.gpu),
    placeIn(wish.clouds, offer.cloud),
    placeIn(wish.regions, offer.region),
    offer.available === 0 ? 1 : 0,
    offer.pricePerHourMicroUsd * factor,
    factor,
  ]
}

function firstDifference(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i])
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}

/** Why nothing fits: the wishes that no single offer satisfies, in plain words, and which wished clouds offer nothing now. */
export function whyNoOfferFits(offers: readonly Offer[], wish: Wish, reads: readonly OfferRead[] = []): FailureRecord {
  const failed = reads.filter(({ cloud, failure }) => failure !== null && wishesCloud(wish, cloud))
  const told = failed.map(({ cloud, failure }) => ` ${cloud}: ${failure?.cause}`).join('')
  const remedy = failed[0]?.failure?.remedy
  return failureRecord('no_offer_fits', `${whatIsMissing(offers, wish)}${told}`, remedy ? { remedy } : {})
}

function whatIsMissing(offers: readonly Offer[], wish: Wish): string {
  if (offers.length === 0) return 'No cloud offers anything at the moment.'
  const unmet = tests.filter(([, fits]) => !offers.some((offer) => fits(wish, offer))).map(([name]) => name)
  if (unmet.length > 0) return `No offer has the wished ${unmet.join(', ')}.`
  return 'No single offer satisfies all wishes together.'
}
