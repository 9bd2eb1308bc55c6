import { isHeldBack, nextHeldBack } from '../core/fault-guard.ts'
import { type Counted, guardOf, guardWith, inGrace } from '../core/guard.ts'
import { judge, type SignalAges, saidNow, silentSince } from '../core/health.ts'
import { loopActs } from '../core/loop-table.ts'
import { decideReplacements, type Replaceable, replacementDueAt } from '../core/replacement.ts'
import { isAccused } from '../core/verdict-table.ts'
import { type Claim, nudge } from '../store/claims.ts'
import { loadGuard } from '../store/guard.ts'
import { type Judged, loadWatched, saveHealthDecision, type WatchedNode, wantedNow } from '../store/verdicts.ts'
import { type ControlDeps, paceNow } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

const everyMs = 5_000

/** The only writer of verdicts and of the guard's word: what the three witnesses say, put through the table. */
export function healthLoop(deps: ControlDeps): Loop {
  async function pass(claim: Claim): Promise<PassResult> {
    const now = deps.clock.now()
    const [watched, { signalAges, graceMs }, standing] = await Promise.all([
      loadWatched(deps.db),
      paceNow(deps),
      loadGuard(deps.db),
    ])
    const judged = watched.map((node) => {
      const said = saidNow(node.said, node.witnesses, signalAges, now)
      return { node, said, judgement: judge(said.signals, node.standing, now) }
    })
    const nodes = judged.map(counted)
    const { since: watchingSince, began: watchBegan, heldUpAt } = deps.continuity
    const view = { nodes, watchingSince, watchBegan, heldUpAt }
    const guard = guardWith(guardOf(view, now, graceMs), standing, now, graceMs)
    const serving = judged
      .filter(({ node }) => node.state === 'ready')
      .map((one) => replaceable(one, watchingSince, now))
    const replace = decideReplacements(serving, guard !== null, now)
    const due =
      inGrace(watchingSince, now, graceMs) || !nodes.some(({ heldBack }) => heldBack)
        ? null
        : await whoseTurn(deps, judged)
    await saveHealthDecision(deps.db, claim, { judged, replace, guard, due }, now)
    await nudge(deps.db, 'sight', cloudsToAsk(watched, signalAges, watchingSince, now), now)
    const moved = judged.some(({ node, judgement }) => judgement.row.verdict !== node.standing.verdict)
    return { moved, nextDueAt: Math.min(now + everyMs, replacementDueAt(serving, now) ?? Number.POSITIVE_INFINITY) }
  }

  return { name: 'health', everyMs, parallel: 1, holdMs: deps.settings.claimHoldMs, acts: loopActs.health, pass }
}

const counted = ({ node: { cloud, deployment, gpuFaults }, judgement }: Judged): Counted => ({
  cloud,
  deployment,
  accused: isAccused(judgement.row.verdict),
  heldBack: isHeldBack(gpuFaults),
})

/** The node with a faulty GPU that is replaced next, because the others that were are. */
async function whoseTurn({ db }: ControlDeps, judged: readonly Judged[]): Promise<WatchedNode | null> {
  const nodes = judged.map(({ node, judgement }) => ({ ...node, verdict: judgement.row.verdict }))
  const id = nextHeldBack(nodes, await wantedNow(db))
  return judged.find(({ node }) => node.id === id)?.node ?? null
}

function replaceable({ node, said, judgement }: Judged, watchingSince: number, now: number): Replaceable {
  const { id, standing, replaceAskedAt, replaced } = node
  // Of a machine that died while its engine started, the last word is no sign of work.
  const restarting = node.restarting && said.signals.heartbeat === 'good'
  const { verdict } = judgement.row
  const since = isAccused(verdict) && !isAccused(standing.verdict) ? now : standing.since
  // A doubt of before we were there, or of words from then, has its time anew: who is well speaks within it.
  const verdictSince = Math.max(since, watchingSince)
  return { id, verdict, verdictSince, restarting, onTrial: judgement.wellSince !== null, replaceAskedAt, replaced }
}

/** Clouds with a node that has turned silent since they were last looked at: the next look may be half a minute away. */
function cloudsToAsk(watched: readonly WatchedNode[], ages: SignalAges, since: number, now: number): string[] {
  const turned = watched.filter(({ witnesses }) => {
    const silent = silentSince(witnesses, ages, since, now)
    return silent !== null && (witnesses.sighting?.at ?? 0) < silent
  })
  return [...new Set(turned.map(({ cloud }) => cloud))]
}
