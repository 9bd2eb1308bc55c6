import { type FailureRecord, failureRecord } from './failure.ts'

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
}

/** What a launch asks of an offer; null and empty mean that anything will do. */
export interface Wish {
  readonly clouds: readonly string[]
  readonly regions: readonly string[]
  readonly gpu: string | null
  readonly gpuCount: number | null
  readonly spot: 'allow' | 'only' | 'never'
  readonly maxPricePerHourMicroUsd: number | null
}

export const anyWish: Wish = {
  clouds: [],
  regions: [],
  gpu: null,
  gpuCount: null,
  spot: 'allow',
  maxPricePerHourMicroUsd: null,
}

const tests: readonly [string, (wish: Wish, offer: Offer) => boolean][] = [
  ['cloud', (wish, offer) => wish.clouds.length === 0 || wish.clouds.includes(offer.cloud)],
  ['region', (wish, offer) => wish.regions.length === 0 || wish.regions.includes(offer.region)],
  ['GPU', (wish, offer) => wish.gpu === null || wish.gpu === offer.gpu],
  ['GPU count', (wish, offer) => wish.gpuCount === null || wish.gpuCount === offer.gpuCount],
  ['spot', (wish, offer) => wish.spot === 'allow' || (wish.spot === 'only') === offer.spot],
  [
    'price',
    (wish, offer) =>
      wish.maxPricePerHourMicroUsd === null || offer.pricePerHourMicroUsd <= wish.maxPricePerHourMicroUsd,
  ],
]

/** Offers that satisfy the wish: in the order of the wished clouds, then by price, then by id so that ties are stable. */
export function rankOffers(offers: readonly Offer[], wish: Wish): Offer[] {
  const place = (offer: Offer) => (wish.clouds.length === 0 ? 0 : wish.clouds.indexOf(offer.cloud))
  return offers
    .filter((offer) => tests.every(([, fits]) => fits(wish, offer)))
    .sort((a, b) => place(a) - place(b) || a.pricePerHourMicroUsd - b.pricePerHourMicroUsd || (a.id < b.id ? -1 : 1))
}

/** Why nothing fits: the wishes that no single offer satisfies, in plain words. */
export function whyNoOfferFits(offers: readonly Offer[], wish: Wish): FailureRecord {
  if (offers.length === 0) return failureRecord('no_offer_fits', 'No cloud offers anything at the moment.')
  const unmet = tests.filter(([, fits]) => !offers.some((offer) => fits(wish, offer))).map(([name]) => name)
  const cause =
    unmet.length > 0 ? `No offer has the wished ${unmet.join(', ')}.` : 'No single offer satisfies all wishes together.'
  return failureRecord('no_offer_fits', cause)
}
