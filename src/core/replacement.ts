import { firstTrialMs } from './health.ts'
import { isAccused, type Verdict } from './verdict-table.ts'

/** A node that serves, as far as replacing it goes. Times are epoch ms. */
export interface Replaceable {
  readonly id: string
  readonly verdict: Verdict
  /** Not before we were there to hear who speaks for it. */
  readonly verdictSince: number
  /** Its agent speaks and says that it starts the engine anew. */
  readonly restarting: boolean
  /** It is well again, and gets no requests until it has stayed so for a while. */
  readonly onTrial: boolean
  readonly replaceAskedAt: number | null
  /** Another node serves in its slot already. */
  readonly replaced: boolean
}

// A guess: an agent that is started anew, or a connection that is made anew, is back within a few seconds.
const doubtMs = 15_000
// Its first trial ends in time; a longer one is so many wasted seconds that another machine is worth its price.
const trialMs = doubtMs + firstTrialMs
// Karpenter's patience with a bad accelerator. An engine that its agent starts anew may need minutes for its model.
const restartMs = 10 * 60_000

const patienceMs = ({ restarting, onTrial }: Replaceable): number =>
  restarting ? restartMs : onTrial ? trialMs : doubtMs

/**
 * Which nodes give up their slot because they have been accused for long enough, and which take it back, because
 * somebody vouches for them again. Neither ends a machine, so one at a time is asked for whatever guard holds: two nodes of
 * which one is dead are half a fleet, and a false alarm costs one machine.
 */
export function decideReplacements(
  nodes: readonly Replaceable[],
  guarded: boolean,
  now: number,
): { readonly ask: readonly string[]; readonly withdraw: readonly string[] } {
  const withdraw = nodes.filter(
    ({ verdict, replaceAskedAt }) => replaceAskedAt !== null && (verdict === 'healthy' || verdict === 'degraded'),
  )
  const due = nodes
    .filter(({ replaceAskedAt, verdict }) => replaceAskedAt === null && isAccused(verdict))
    .filter((node) => now - node.verdictSince >= patienceMs(node))
    .sort((a, b) => a.verdictSince - b.verdictSince)
  const underWay = nodes.filter(
    (node) => node.replaceAskedAt !== null && !node.replaced && !withdraw.includes(node),
  ).length
  const room = guarded ? Math.max(0, 1 - underWay) : due.length
  return { ask: due.slice(0, room).map(({ id }) => id), withdraw: withdraw.map(({ id }) => id) }
}

/** When the next of them is due, so that nobody waits for the next pass; null: none is. */
export function replacementDueAt(nodes: readonly Replaceable[], now: number): number | null {
  const times = nodes
    .filter(({ replaceAskedAt, verdict }) => replaceAskedAt === null && isAccused(verdict))
    .map((node) => node.verdictSince + patienceMs(node))
    .filter((at) => at > now)
  return times.length > 0 ? Math.min(...times) : null
}
