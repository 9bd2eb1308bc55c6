import type { Clock } from '../lib/clock.ts'
import type { Db } from '../store/database.ts'
import { resumeAfterGap } from '../store/gap.ts'
import type { Continuity } from './continuity.ts'

/** What is claimed after a gap is looked at in rows that know of it. True when there was one, or when the clock had jumped. */
export async function endGap(deps: {
  readonly db: Db
  readonly clock: Clock
  readonly continuity: Continuity
}): Promise<boolean> {
  const { db, clock, continuity } = deps
  let ended = false
  await continuity.tellJump(clock.now(), clock.monotonicMs(), async (aheadMs) => {
    if (aheadMs === 0 && !continuity.hasBroken(clock.now(), clock.monotonicMs())) return
    await resumeAfterGap(db, clock.now(), aheadMs)
    ended = true
  })
  continuity.beat(clock.now(), clock.monotonicMs())
  return ended
}
