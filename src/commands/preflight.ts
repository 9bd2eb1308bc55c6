import { modelNamed } from '../core/engine-command.ts'
import type { EngineArguments } from '../core/engine-presets.ts'
import { Failure } from '../core/failure.ts'
import { anyWish, rankOffers, whyNoOfferFits } from '../core/offer.ts'
import { type FittedOffer, fitOffers, mayHold, whyGated, whyNoOfferHolds } from '../core/preflight.ts'
import { loadOfferReads, loadOffers, standingsNow } from '../store/offers.ts'
import { sealedSecrets } from '../store/secrets.ts'
import type { LaunchRequest } from '../wire/routes.ts'
import type { Actor, CommandDeps } from './context.ts'

export interface Preflight {
  readonly model: string
  readonly engineArgs: EngineArguments
  readonly wish: LaunchRequest['wish']
  readonly concurrency?: number | undefined
}

/**
 * The wished offers, ranked, at least one of which may be tried: those come first. Nothing is asked of a cloud.
 * @throws Failure `unknown_model`, `no_offer_fits`, `model_too_large`, `gpu_unsupported` or `gated_without_token`, each with what would help.
 */
export async function preflight(
  { settings, store, clock }: CommandDeps,
  actor: Actor,
  { model, engineArgs, wish, concurrency }: Preflight,
): Promise<FittedOffer[]> {
  const known = modelNamed(settings, model)
  const entry = concurrency === undefined ? known : { ...known, concurrency }
  const offers = await loadOffers(store.db)
  const ranked = rankOffers(offers, wish, await standingsNow(store.db, settings.capacity, clock.now()))
  if (ranked.length === 0) {
    const why = whyNoOfferFits(offers, wish, await loadOfferReads(store.db))
    throw new Failure('no_offer_fits', why.cause, why)
  }
  const fitted = fitOffers(settings, entry, engineArgs, ranked)
  if (!fitted.some(mayHold)) {
    const others = fitOffers(settings, entry, engineArgs, rankOffers(offers, anyWish))
    const why = whyNoOfferHolds(fitted, others)
    throw new Failure(why.code === 'gpu_unsupported' ? why.code : 'model_too_large', why.cause, why)
  }
  const secrets = (await sealedSecrets(store.db, actor.tenantId)).map(({ name }) => name)
  const env = Object.keys(settings.engines[entry.engine]?.env ?? {})
  const gated = whyGated(settings, entry, [...secrets, ...env])
  if (gated) throw new Failure('gated_without_token', gated.cause, gated)
  return fitted
}

/** As `preflight`, but only those that a launch may try, as it keeps them. */
export async function offersForLaunch(deps: CommandDeps, actor: Actor, asked: Preflight) {
  return (await preflight(deps, actor, asked)).filter(mayHold).map(({ fit: _, ...offer }) => offer)
}
