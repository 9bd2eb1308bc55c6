import { guardReason, judge, signalsOf } from '../core/health.ts'
import { severity } from '../core/verdict-table.ts'
import type { Claim } from '../store/claims.ts'
import { loadWatched, type NewVerdict, saveHealthDecision } from '../store/verdicts.ts'
import type { ControlDeps } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

const everyMs = 5_000
// A pass that comes this late means that the database, the clock or this process was away.
const gapMs = 15_000

/** The only writer of verdicts and of the guard's word: what the three witnesses say, put through the table. */
export function healthLoop(deps: ControlDeps): Loop {
  let lastPassAt = deps.startedAt
  let databaseBackAt = Number.NEGATIVE_INFINITY

  async function pass(claim: Claim): Promise<PassResult> {
    const now = deps.clock.now()
    if (Math.abs(now - lastPassAt) > gapMs) databaseBackAt = now
    const watched = await loadWatched(deps.db)
    const changed: NewVerdict[] = watched.flatMap((node) => {
      const signals = signalsOf(node.witnesses, deps.settings.signalAges, now)
      const { row, verdict, meaning } = judge(signals, { verdict: node.verdict, since: node.verdictSince }, now)
      return verdict === node.verdict && row === node.verdictRow ? [] : [{ node, verdict, row, meaning }]
    })
    const newlySuspect = changed.filter(
      ({ node, verdict }) => severity[verdict] > 1 && severity[node.verdict] <= 1,
    ).length
    const view = { pool: watched.length, newlySuspect, startedAt: deps.startedAt, databaseBackAt }
    const guard = guardReason(view, now, deps.settings.graceMs)
    await saveHealthDecision(deps.db, claim, changed, guard, now)
    lastPassAt = now
    return { moved: changed.length > 0, nextDueAt: now + everyMs }
  }

  return { name: 'health', everyMs, parallel: 1, holdMs: deps.settings.claimHoldMs, acts: false, pass }
}
