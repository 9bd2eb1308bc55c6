import type { Claim } from '../store/claims.ts'
import { saveOffers } from '../store/install.ts'
import type { ControlDeps } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

const everyMs = 30_000

/** Keeps what each cloud offers, so that nobody waits for a cloud when a launch is planned. */
export function offersLoop(deps: ControlDeps): Loop {
  const { db, clouds, clock } = deps
  async function pass(claim: Claim): Promise<PassResult> {
    const cloud = clouds.get(claim.rowId)
    if (!cloud) throw new Error(`the cloud "${claim.rowId}" is not configured here`)
    await saveOffers(db, cloud.name, await cloud.offers(), clock.now())
    return { moved: false, nextDueAt: clock.now() + everyMs }
  }
  return { name: 'offers', everyMs, parallel: 4, holdMs: deps.settings.claimHoldMs, acts: false, pass }
}
