import type { CommandDeps } from '../commands/context.ts'
import { catalogModelOf } from '../core/catalog.ts'
import { modelNamed } from '../core/engine-command.ts'
import { anyWish, rankOffers } from '../core/offer.ts'
import { memoryNeeded } from '../core/preflight.ts'
import { loadOfferReads, loadOffers, standingsNow } from '../store/offers.ts'
import { readOwnModels, readReadyByModel } from '../store/read-deployments.ts'
import { readUnknownFailures } from '../store/read-unknown.ts'
import type { Handlers } from './asked.ts'
import { presentCatalogModel, presentOfferNow, presentRead } from './present-plan.ts'
import { presentUnknownFailure } from './present-small.ts'

type Names = 'listModels' | 'listCatalog' | 'listOffers' | 'unknownFailures'

/** What can be launched, where, and what clouds said of it. */
export function offerHandlers({ store: { db }, clock, settings }: CommandDeps): Handlers<Names> {
  return {
    async listModels({ actor }) {
      const ready = await readReadyByModel(db, actor.tenantId)
      const configured = new Set(settings.models.map(({ name }) => name))
      const own = (await readOwnModels(db, actor.tenantId)).filter(({ name }) => !configured.has(name))
      const kept = own.map(({ name, ...model }) => modelNamed(settings, name, model))
      const items = [...settings.models, ...kept].map((model) => ({
        name: model.name,
        engine: model.engine,
        source: model.source,
        args: model.args,
        description: model.description,
        catalog: catalogModelOf(settings.catalog, model)?.id ?? null,
        memory: memoryNeeded(settings, model),
        readyNodes: ready.get(model.name) ?? 0,
      }))
      return { items }
    },
    listCatalog: async () => ({ items: settings.catalog.map(presentCatalogModel) }),
    async listOffers() {
      const now = clock.now()
      const standingOf = await standingsNow(db, settings.capacity, now)
      const [offers, reads] = await Promise.all([loadOffers(db), loadOfferReads(db)])
      return {
        items: rankOffers(offers, anyWish, standingOf).map((offer) => presentOfferNow(offer, reads, now)),
        clouds: reads.map((read) => presentRead(read, now)),
      }
    },
    unknownFailures: async ({ actor }) => ({
      items: (await readUnknownFailures(db, actor.tenantId)).map(presentUnknownFailure),
    }),
  }
}
