import type { Plan } from '../commands/launches.ts'
import type { CatalogModel } from '../core/catalog.ts'
import type { Fit } from '../core/fit.ts'
import type { Offer, RankedOffer } from '../core/offer.ts'
import type { Setups } from '../core/setup.ts'
import type { CatalogModelView, FitView } from '../wire/catalog.ts'
import type { PlanView, RankedOfferView } from '../wire/views.ts'
import { maybeIso } from './present-time.ts'

export const presentCatalogModel = (model: CatalogModel): CatalogModelView => ({
  ...model,
  uncertain: [...model.uncertain],
})

export function presentPlan(plan: Plan, setupsAt: (offer: Offer) => Setups): PlanView {
  return {
    ...plan,
    offers: plan.offers.map((offer) => {
      return { ...presentOffer(offer), fit: offer.fit && presentFit(offer.fit), setups: setupsAt(offer) }
    }),
  }
}

function presentFit({ failure, ...fit }: Fit): FitView {
  return { ...fit, cause: failure?.cause ?? null, remedy: failure?.remedy ?? null }
}

/** A launch of an earlier version kept its offers without what was remembered of them. */
export function presentOffer({ standing, ...offer }: RankedOffer): RankedOfferView {
  if (!standing) return { ...offer, standing: null }
  const { refusedAt, gaveAt } = standing
  return { ...offer, standing: { ...standing, refusedAt: maybeIso(refusedAt), gaveAt: maybeIso(gaveAt) } }
}
