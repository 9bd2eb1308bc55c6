import { guardReason, judge, signalsOf } from '../core/health.ts'
import { severity } from '../core/verdict-table.ts'
import type { Claim } from '../store/claims.ts'
import { loadWatched, saveHealthDecision } from '../store/verdicts.ts'
import type { ControlDeps } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

const everyMs = 5_000

/** The only writer of verdicts and of the guard's word: what the three witnesses say, put through the table. */
export function healthLoop(deps: ControlDeps): Loop {
  async function pass(claim: Claim): Promise<PassResult> {
    const now = deps.clock.now()
    const watched = await loadWatched(deps.db)
    const judged = watched.map((node) => {
      const signals = signalsOf(node.witnesses, deps.settings.signalAges, now)
      const { row, verdict, meaning } = judge(signals, { verdict: node.verdict, since: node.verdictSince }, now)
      return { node, verdict, row, meaning }
    })
    const changed = judged.filter(({ node, verdict, row }) => verdict !== node.verdict || row !== node.verdictRow)
    const suspect = judged.filter(({ verdict }) => severity[verdict] >= severity.suspect).length
    const view = { pool: watched.length, suspect, watchingSince: deps.continuity.since }
    await saveHealthDecision(deps.db, claim, changed, guardReason(view, now, deps.settings.graceMs), now)
    return { moved: changed.length > 0, nextDueAt: now + everyMs }
  }

  return { name: 'health', everyMs, parallel: 1, holdMs: deps.settings.claimHoldMs, acts: false, pass }
}
