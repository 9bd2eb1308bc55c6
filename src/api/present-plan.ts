import type { Plan } from '../commands/launches.ts'
import type { CatalogModel } from '../core/catalog.ts'
import type { Fit } from '../core/fit.ts'
import type { CatalogModelView, FitView } from '../wire/catalog.ts'
import type { PlanView } from '../wire/views.ts'

export const presentCatalogModel = (model: CatalogModel): CatalogModelView => ({
  ...model,
  uncertain: [...model.uncertain],
})

export function presentPlan(plan: Plan): PlanView {
  return { ...plan, offers: plan.offers.map((offer) => ({ ...offer, fit: offer.fit && presentFit(offer.fit) })) }
}

function presentFit({ failure, ...fit }: Fit): FitView {
  return { ...fit, cause: failure?.cause ?? null, remedy: failure?.remedy ?? null }
}
