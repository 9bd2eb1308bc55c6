import type { Plan } from '../commands/plan.ts'
import type { CatalogModel } from '../core/catalog.ts'
import { credentialsOf } from '../core/credentials.ts'
import { type Fit, memoryOf } from '../core/fit.ts'
import { pricesOf } from '../core/money.ts'
import { isStale, type Offer, type OfferRead, type RankedOffer } from '../core/offer.ts'
import { reasonsFor } from '../core/offer-reasons.ts'
import type { ReadyIn } from '../core/ready-in.ts'
import type { Setups } from '../core/setup.ts'
import type { LastFailure } from '../store/read-launches.ts'
import type { CatalogCard, FitView } from '../wire/catalog.ts'
import type { PlannedOffer, PlanView } from '../wire/plan.ts'
import type { CloudOffersView, OfferNowView, RankedOfferView } from '../wire/views.ts'
import { iso, maybeIso } from './present-time.ts'

/** As a launch by its name has it, when nothing else is asked for. */
export const presentCatalogModel = (model: CatalogModel): CatalogCard => ({
  ...model,
  uncertain: [...model.uncertain],
  memory: memoryOf({
    model,
    context: null,
    concurrency: 1,
    dtype: null,
    quantization: null,
    kvElementBytes: 2,
  }),
})

export function presentPlan(
  { wish, ...plan }: Plan,
  expectedAt: (offer: Offer) => { readonly setups: Setups; readonly readyIn: ReadyIn | null },
  failed: readonly LastFailure[],
  now: number,
): PlanView {
  return {
    ...plan,
    refusals: [...plan.refusals],
    clouds: plan.clouds.map((read) => presentRead(read, now)),
    offers: plan.offers.map((offer) => {
      return {
        ...presentOfferNow(offer, plan.clouds, now),
        fit: offer.fit && presentFit(offer.fit),
        unchecked: offer.unchecked,
        ...expectedAt(offer),
        ...pricesOf(offer.pricePerHourMicroUsd, plan.replicas),
        reasons: reasonsFor(offer, wish),
        lately: latelyAt(offer, failed),
      }
    }),
  }
}

function latelyAt({ cloud, region, gpu, spot }: Offer, failed: readonly LastFailure[]): PlannedOffer['lately'] {
  const there = failed.find(
    (one) => one.cloud === cloud && one.region === region && one.gpu === gpu && one.spot === spot,
  )
  return there ? { at: iso(there.at), launchId: there.launchId, failure: there.failure } : null
}

function presentFit({ failure, ...fit }: Fit): FitView {
  return { ...fit, cause: failure?.cause ?? null, remedy: failure?.remedy ?? null }
}

export const presentRead = (read: OfferRead, now: number): CloudOffersView => ({
  ...read,
  readAt: maybeIso(read.readAt),
  failedAt: maybeIso(read.failedAt),
  stale: isStale(read, now),
  credentials: credentialsOf(read, now),
})

export function presentOfferNow(offer: RankedOffer, reads: readonly OfferRead[], now: number): OfferNowView {
  const read = reads.find(({ cloud }) => cloud === offer.cloud)
  return { ...presentOffer(offer), seenAt: maybeIso(read?.readAt ?? null), stale: !read || isStale(read, now) }
}

/** A launch of an earlier version kept its offers without what was remembered of them. */
export function presentOffer({ standing, ...offer }: RankedOffer): RankedOfferView {
  if (!standing) return { ...offer, standing: null }
  const { refusedAt, gaveAt } = standing
  return { ...offer, standing: { ...standing, refusedAt: maybeIso(refusedAt), gaveAt: maybeIso(gaveAt) } }
}
