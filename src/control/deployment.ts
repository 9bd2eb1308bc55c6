import { decideDeployment } from '../core/decide-deployment.ts'
import { launchTime } from '../core/launch-time.ts'
import { loopActs } from '../core/loop-table.ts'
import { rankOffers } from '../core/offer.ts'
import { offersToTry } from '../core/preflight.ts'
import type { Claim } from '../store/claims.ts'
import { loadDeployment, saveDeploymentDecision } from '../store/deployments.ts'
import { loadOffers, standingsNow } from '../store/offers.ts'
import type { ControlDeps } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

/** Fills slots that nothing holds and empties those that are too many; launches do the rest. */
export function deploymentLoop(deps: ControlDeps): Loop {
  return {
    name: 'deployment',
    everyMs: 10_000,
    parallel: 4,
    holdMs: deps.settings.claimHoldMs,
    acts: loopActs.deployment,
    pass: (claim) => reconcileDeployment(deps, claim),
  }
}

async function reconcileDeployment({ db, settings, clock }: ControlDeps, claim: Claim): Promise<PassResult> {
  const now = clock.now()
  const deployment = await loadDeployment(db, claim.rowId, settings.stopAfterFailures, now)
  if (!deployment) return { moved: false, nextDueAt: null }
  const { fill, withdraw } = decideDeployment(deployment.view, now)
  if (fill === 0 && withdraw.length === 0) return { moved: false, nextDueAt: now + 10_000 }
  const standingOf = await standingsNow(db, settings.capacity, now)
  const offers = offersToTry(settings, deployment, rankOffers(await loadOffers(db), deployment.wish, standingOf))
  const refill = {
    offers,
    time: launchTime(settings, deployment.timeLimitS ?? undefined, offers),
    stopAfterFailures: settings.stopAfterFailures,
    decide: (view: typeof deployment.view) => decideDeployment(view, now),
  }
  const saved = await saveDeploymentDecision(db, claim, refill, now)
  return { moved: saved, nextDueAt: now + 10_000 }
}
