import { maybeThere } from '../clouds/cloud.ts'
import { holdsSweep, inGrace } from '../core/guard.ts'
import { loopActs } from '../core/loop-table.ts'
import type { Claim } from '../store/claims.ts'
import { tellEvent } from '../store/events.ts'
import { loadInstall } from '../store/install.ts'
import { armSweep } from '../store/pause.ts'
import { markReleased, saveOrphans } from '../store/sightings.ts'
import { type ControlDeps, paceNow } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

const everyMs = 30_000
// A machine without a row for this long is nobody's: rows are committed before anything is asked of a cloud.
const quarantineMs = 10_000

/** Finds machines with this install's tag that no row knows, shows them, and releases them once the sweep is armed. */
export function sweepLoop(deps: ControlDeps): Loop {
  return {
    name: 'sweep',
    everyMs,
    parallel: 4,
    holdMs: deps.settings.claimHoldMs,
    acts: loopActs.sweep,
    pass: (claim) => sweep(deps, claim),
  }
}

async function sweep(deps: ControlDeps, claim: Claim): Promise<PassResult> {
  const { db, clouds, clock, continuity } = deps
  const cloud = clouds.get(claim.rowId)
  if (!cloud) throw new Error(`the cloud "${claim.rowId}" is not configured here`)
  const startedAt = clock.now()
  const listed = (await cloud.listMachines()).filter(maybeThere)
  const orphans = await saveOrphans(db, { cloud: cloud.name, startedAt, listed }, clock.now())
  const [{ sweepArmed, guardKind }, { graceMs }] = await Promise.all([loadInstall(db), paceNow(deps)])
  // A data set that was just made or restored may have forgotten living machines: until a clean look it only reports.
  if (!sweepArmed && orphans.length === 0) await armSweep(db)
  const maySweep = sweepArmed && !holdsSweep(guardKind) && !inGrace(continuity.since, startedAt, graceMs)
  const due = maySweep ? orphans.filter(({ firstSeenAt }) => startedAt - firstSeenAt >= quarantineMs) : []
  for (const { name } of due) {
    await tellEvent(db, clock.now(), {
      kind: 'orphan.release',
      text: `${name} has no row: its end is asked for.`,
      data: { name },
    })
    await markReleased(db, name, clock.now())
    await cloud.ensureGone(name)
  }
  return { moved: due.length > 0, nextDueAt: clock.now() + (orphans.length > 0 ? quarantineMs : everyMs) }
}
