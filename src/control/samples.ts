import { loopActs } from '../core/loop-table.ts'
import { rollSamplesUp, takeSamples } from '../store/samples.ts'
import { type ControlDeps, paceNow } from './context.ts'
import type { Loop } from './driver.ts'

const everyMs = 10_000
// Of a fleet beyond this a sample each minute is taken: as many rows in a second as of this one.
const fineNodes = 2_000
const seldomMs = 60_000

/** Keeps what graphs show. It only watches, and a graph is all that misses a pass that was not made. */
export function samplesLoop(deps: ControlDeps): Loop {
  const { db, clock } = deps
  return {
    name: 'samples',
    everyMs,
    parallel: 1,
    holdMs: deps.settings.claimHoldMs,
    acts: loopActs.samples,
    async pass() {
      const now = clock.now()
      const { heartbeatMs } = await paceNow(deps)
      // Two beats may be late; whoever says nothing for longer leaves a gap in the graph.
      const taken = await takeSamples(db, now, now - 3 * heartbeatMs)
      await rollSamplesUp(db, now)
      const stepMs = taken > fineNodes ? seldomMs : everyMs
      return { moved: taken > 0, nextDueAt: (Math.floor(now / stepMs) + 1) * stepMs }
    },
  }
}
