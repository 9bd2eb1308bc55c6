import type { RankedOffer, Wish } from './offer.ts'
import type { FittedOffer } from './preflight.ts'

/** Why an offer stands where it stands, in the order in which it is decided: `rankOffers` and `fitOffers` in words. */
export function reasonsFor(offer: FittedOffer, wish: Wish): string[] {
  const reasons = [
    whyByFit(offer),
    wish.spot === 'first' && (offer.spot ? 'Spot comes first, as wished.' : 'On demand comes after spot, as wished.'),
    whyByWish('GPU', wish.gpus, offer.gpu),
    whyByWish('cloud', wish.clouds, offer.cloud),
    whyByWish('region', wish.regions, offer.region),
    offer.available === 0 && 'None of it is free now.',
    whyByMemory(offer),
  ]
  return reasons.filter((reason) => typeof reason === 'string')
}

function whyByFit({ fit, unchecked }: FittedOffer): string | null {
  if (fit && !fit.fits) return 'It comes last, for it cannot hold the model.'
  return unchecked === null ? null : `It comes after those that were seen to hold the model: ${unchecked}.`
}

function whyByWish(what: string, wished: readonly string[], value: string | null): string | null {
  const place = value === null ? -1 : wished.indexOf(value)
  return wished.length > 1 && place >= 0 ? `Its ${what} is number ${place + 1} of ${wished.length} wished.` : null
}

/** The price as it is compared, which differs from the one that is paid. */
function whyByMemory({ standing }: RankedOffer): string | null {
  if (!standing || standing.factor === 1) return null
  const { factor, refusals, refusedFor, gaveAt } = standing
  const times = refusals === 1 ? 'once' : `${refusals} times`
  const refused = refusals > 0 ? `it was refused ${times} lately${refusedFor ? `, last for ${refusedFor}` : ''}` : null
  const gave = gaveAt === null ? null : 'a machine came from there lately'
  const why = [refused, gave].filter((one) => one !== null).join(', and ')
  return `Its price counts ${factor} times: ${why}.`
}
