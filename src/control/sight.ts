import type { Claim } from '../store/claims.ts'
import { saveFailedLook, saveLook } from '../store/sightings.ts'
import type { ControlDeps } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

/** One bulk look for each cloud into the sightings table: no other loop asks a cloud how one node is. */
export function sightLoop(deps: ControlDeps): Loop {
  return {
    name: 'sight',
    everyMs: 60_000,
    parallel: 4,
    holdMs: deps.settings.claimHoldMs,
    acts: false,
    pass: (claim) => look(deps, claim),
  }
}

async function look({ db, clouds, clock, log }: ControlDeps, claim: Claim): Promise<PassResult> {
  const cloud = clouds.get(claim.rowId)
  if (!cloud) throw new Error(`the cloud "${claim.rowId}" is not configured here`)
  const startedAt = clock.now()
  try {
    const listed = await cloud.listMachines()
    const waiting = await saveLook(db, { cloud: cloud.name, startedAt, listed }, cloud.traits, clock.now())
    const { lookMs, lookFastMs } = cloud.traits
    return { moved: false, nextDueAt: clock.now() + (waiting > 0 ? lookFastMs : lookMs) }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    log.warn({ cloud: cloud.name, err: error }, 'the cloud did not answer: its nodes are unknown to it, not gone')
    await saveFailedLook(db, cloud.name, text, clock.now())
    return { moved: false, nextDueAt: clock.now() + cloud.traits.lookMs }
  }
}
