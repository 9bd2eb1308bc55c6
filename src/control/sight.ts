import { maybeThere } from '../clouds/cloud.ts'
import { silentSince } from '../core/health.ts'
import { loopActs } from '../core/loop-table.ts'
import type { Claim } from '../store/claims.ts'
import { saveFailedLook, saveLook, seenMachines } from '../store/sightings.ts'
import { loadWatched } from '../store/verdicts.ts'
import { type ControlDeps, paceNow } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

/** One bulk look for each cloud into the sightings table: no other loop asks a cloud how one node is. */
export function sightLoop(deps: ControlDeps): Loop {
  return {
    name: 'sight',
    everyMs: 60_000,
    parallel: 4,
    holdMs: deps.settings.claimHoldMs,
    acts: loopActs.sight,
    pass: (claim) => look(deps, claim),
  }
}

async function look(deps: ControlDeps, claim: Claim): Promise<PassResult> {
  const { db, clouds, clock, log } = deps
  const cloud = clouds.get(claim.rowId)
  if (!cloud) throw new Error(`the cloud "${claim.rowId}" is not configured here`)
  const doubted = await silentIn(deps, cloud.name)
  const expected = await seenMachines(db, cloud.name)
  const startedAt = clock.now()
  try {
    const listed = await cloud.listMachines({ doubted, expected })
    const waiting = await saveLook(db, { cloud: cloud.name, startedAt, listed }, cloud.traits, clock.now())
    const { lookMs, lookFastMs } = cloud.traits
    const there = new Set(listed.filter(maybeThere).map(({ name }) => name))
    // Silent and not there: only a second look ends its bill.
    const soon = waiting > 0 || doubted.some((name) => !there.has(name))
    return { moved: false, nextDueAt: clock.now() + (soon ? lookFastMs : lookMs) }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    log.warn({ cloud: cloud.name, err: error }, 'the cloud did not answer: its nodes are unknown to it, not gone')
    await saveFailedLook(db, cloud.name, text, clock.now())
    return { moved: false, nextDueAt: clock.now() + cloud.traits.lookMs }
  }
}

/** Nodes of which nobody has heard for a while: their cloud should not answer from memory. */
async function silentIn(deps: ControlDeps, cloud: string): Promise<string[]> {
  const { db, clock, continuity } = deps
  const { signalAges } = await paceNow(deps)
  const now = clock.now()
  const watched = (await loadWatched(db)).filter((node) => node.cloud === cloud)
  const silent = watched.filter(({ witnesses }) => silentSince(witnesses, signalAges, continuity.since, now) !== null)
  return silent.map(({ name }) => name)
}
