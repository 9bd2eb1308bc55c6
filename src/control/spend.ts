import { ledgerFaults } from '../store/ledger.ts'
import type { ControlDeps } from './context.ts'
import type { Loop } from './driver.ts'

const everyMs = 10_000

/** Watches the ledger: a billed node without an open interval, or the other way round, is told as this loop's error. */
export function spendLoop({ db, clock }: ControlDeps): Loop {
  return {
    name: 'spend',
    everyMs,
    parallel: 1,
    holdMs: 30_000,
    acts: false,
    async pass() {
      const faults = await ledgerFaults(db)
      if (faults.length > 0)
        throw new Error(faults.map(({ nodeId, what }) => `ledger of ${nodeId}: ${what}`).join('; '))
      return { moved: false, nextDueAt: clock.now() + everyMs }
    },
  }
}
