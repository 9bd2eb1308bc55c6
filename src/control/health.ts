import { guardReason, judge, signalsOf, silentSince } from '../core/health.ts'
import { severity } from '../core/verdict-table.ts'
import { type Claim, nudge } from '../store/claims.ts'
import { loadWatched, saveHealthDecision, type WatchedNode } from '../store/verdicts.ts'
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
    await nudge(deps.db, 'sight', cloudsToAsk(deps, watched, now), now)
    return { moved: changed.length > 0, nextDueAt: now + everyMs }
  }

  return { name: 'health', everyMs, parallel: 1, holdMs: deps.settings.claimHoldMs, acts: false, pass }
}

/** Clouds with a node that has turned silent since they were last looked at: the next look may be half a minute away. */
function cloudsToAsk({ settings, continuity }: ControlDeps, watched: readonly WatchedNode[], now: number): string[] {
  const turned = watched.filter(({ witnesses }) => {
    const since = silentSince(witnesses, settings.signalAges, continuity.since, now)
    return since !== null && (witnesses.sighting?.at ?? 0) < since
  })
  return [...new Set(turned.map(({ cloud }) => cloud))]
}
