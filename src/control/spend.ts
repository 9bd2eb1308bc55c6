import { loopActs } from '../core/loop-table.ts'
import { ledgerFaults } from '../store/ledger.ts'
import type { ControlDeps } from './context.ts'
import type { Loop } from './driver.ts'

const everyMs = 10_000

/** Watches the ledger: a billed node without an open interval, or the other way round, is told as this loop's error. */
export function spendLoop(deps: ControlDeps): Loop {
  const { db, clock } = deps
  return {
    name: 'spend',
    everyMs,
    parallel: 1,
    holdMs: deps.settings.claimHoldMs,
    acts: loopActs.spend,
    async pass() {
      const faults = await ledgerFaults(db)
      if (faults.length > 0)
        throw new Error(faults.map(({ nodeId, what }) => `ledger of ${nodeId}: ${what}`).join('; '))
      return { moved: false, nextDueAt: clock.now() + everyMs }
    },
  }
}
