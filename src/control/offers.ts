import { type Cloud, CloudRefuses } from '../clouds/cloud.ts'
import { failureRecord } from '../core/failure.ts'
import { attemptLimitMs } from '../core/launch-time.ts'
import { loopActs } from '../core/loop-table.ts'
import type { Offer } from '../core/offer.ts'
import { pause } from '../lib/clock.ts'
import type { Claim } from '../store/claims.ts'
import { saveFailedOffers, saveOffers } from '../store/offers.ts'
import type { ControlDeps } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

const everyMs = 30_000
// A guess: longer than a start should take, shorter than anybody waits for one.
const firstLimitMs = 5_000

/** Keeps what each cloud offers, so that nobody waits for a cloud when a launch is planned. */
export function offersLoop(deps: ControlDeps): Loop {
  const { clouds, clock } = deps
  async function pass(claim: Claim): Promise<PassResult> {
    const cloud = clouds.get(claim.rowId)
    if (!cloud) throw new Error(`the cloud "${claim.rowId}" is not configured here`)
    await readOffers(deps, cloud)
    return { moved: false, nextDueAt: clock.now() + everyMs }
  }
  return { name: 'offers', everyMs, parallel: 4, holdMs: deps.settings.claimHoldMs, acts: loopActs.offers, pass }
}

async function readOffers({ db, clock }: ControlDeps, cloud: Cloud): Promise<void> {
  try {
    const offers = (await cloud.offers()).map((offer) => withLimit(cloud, offer))
    await saveOffers(db, cloud.name, offers, clock.now())
  } catch (error) {
    const refused = error instanceof CloudRefuses
    const cause = error instanceof Error ? error.message : String(error)
    const failure = refused ? error.refusal : failureRecord('cloud_unavailable', cause)
    await saveFailedOffers(db, cloud.name, failure, { refused }, clock.now())
    throw error
  }
}

/** Whoever plans asks no cloud how long its machines may take. */
const withLimit = (cloud: Cloud, offer: Offer): Offer => ({
  ...offer,
  attemptLimitMs: attemptLimitMs(cloud.traitsFor?.(offer) ?? cloud.traits),
})

/**
 * Resolves when every cloud's offers were read once, so that the first launch after a start is not refused for want of
 * any. A cloud that is slow or silent is not waited for: its loop asks again.
 */
export async function firstOffers(deps: ControlDeps): Promise<void> {
  const read = [...deps.clouds.values()].map((cloud) =>
    readOffers(deps, cloud).catch((error) => deps.log.warn({ cloud: cloud.name, err: error }, 'no offers yet')),
  )
  await Promise.race([Promise.all(read), pause(firstLimitMs)])
}
