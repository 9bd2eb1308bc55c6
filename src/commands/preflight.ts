import type { HubToken } from '../core/catalog.ts'
import { modelNamed, type OwnModel } from '../core/engine-command.ts'
import type { EngineArguments } from '../core/engine-presets.ts'
import { Failure, type FailureRecord, isFailureCode } from '../core/failure.ts'
import { mayHold } from '../core/fit.ts'
import { anyWish, rankOffers, type Wish, whyNoOfferFits } from '../core/offer.ts'
import { type FittedOffer, fitOffers, hubTokenOf, whyGated, whyNoOfferHolds, withoutFit } from '../core/preflight.ts'
import { loadOfferReads, loadOffers, standingsNow } from '../store/offers.ts'
import { sealedSecrets } from '../store/secrets.ts'
import type { Actor, CommandDeps } from './context.ts'

export interface Preflight {
  readonly model: string
  readonly own: OwnModel | null
  readonly engineArgs: EngineArguments
  readonly wish: Wish
  readonly concurrency?: number | undefined
}

export interface Checked {
  /** The wished ones, ranked; those that may be tried come first. */
  readonly offers: readonly FittedOffer[]
  /** Why a launch would be refused, each with what would help. */
  readonly refusals: readonly FailureRecord[]
  readonly hubToken: HubToken
}

/** What is wrong with a launch before it is asked for. Nothing is asked of a cloud. @throws Failure `unknown_model`. */
export async function check(
  { settings, store, clock }: CommandDeps,
  actor: Actor,
  { model, own, engineArgs, wish, concurrency }: Preflight,
): Promise<Checked> {
  const known = modelNamed(settings, model, own)
  const entry = concurrency === undefined ? known : { ...known, concurrency }
  const offers = await loadOffers(store.db)
  const ranked = rankOffers(offers, wish, await standingsNow(store.db, settings.capacity, clock.now()))
  const fitted = fitOffers(settings, entry, engineArgs, ranked)
  const all = () => fitOffers(settings, entry, engineArgs, rankOffers(offers, anyWish))
  const none = fitted.length === 0 ? whyNoOfferFits(offers, wish, await loadOfferReads(store.db)) : null
  const tooLarge = fitted.length > 0 && !fitted.some(mayHold) ? whyNoOfferHolds(fitted, all()) : null
  const secrets = (await sealedSecrets(store.db, actor.tenantId)).map(({ name }) => name)
  const env = Object.keys(settings.engines[entry.engine]?.env ?? {})
  const names = [...secrets, ...env]
  const refusals = [none, tooLarge, whyGated(settings, entry, names)].filter((why) => why !== null)
  return { offers: fitted, refusals, hubToken: hubTokenOf(settings, entry, names) }
}

/**
 * The wished offers, ranked, at least one of which may be tried: those come first.
 * @throws Failure `unknown_model`, `no_offer_fits`, `model_too_large`, `gpu_unsupported` or `gated_without_token`, each with what would help.
 */
export async function preflight(deps: CommandDeps, actor: Actor, asked: Preflight): Promise<readonly FittedOffer[]> {
  const { offers, refusals } = await check(deps, actor, asked)
  const [why] = refusals
  if (why) throw new Failure(isFailureCode(why.code) ? why.code : 'model_too_large', why.cause, why)
  return offers
}

/** As `preflight`, but only those that a launch may try, as it keeps them. */
export async function offersForLaunch(deps: CommandDeps, actor: Actor, asked: Preflight) {
  return (await preflight(deps, actor, asked)).filter(mayHold).map(withoutFit)
}
