import { humanRough } from '../../src/core/human-time.ts'
import type { LaunchState } from '../../src/core/launch-table.ts'
import type { NodeState } from '../../src/core/node-table.ts'
import { isAccused, type Verdict } from '../../src/core/verdict-table.ts'
import type { DeploymentView, LaunchView, NodeView } from '../../src/wire/views.ts'
import type { Marked, MarkShape } from '../parts/mark.tsx'

const ofNode: Readonly<Record<NodeState, MarkShape>> = {
  intended: 'busy',
  requesting: 'busy',
  booting: 'busy',
  loading: 'busy',
  ready: 'good',
  draining: 'between',
  held: 'doubtful',
  releasing: 'between',
  gone: 'between',
}

const ofVerdict: Readonly<Record<Verdict, MarkShape>> = {
  healthy: 'good',
  unknown: 'between',
  degraded: 'doubtful',
  suspect: 'doubtful',
  dead: 'bad',
}

const ofLaunch: Readonly<Record<LaunchState, MarkShape>> = {
  queued: 'between',
  attempting: 'busy',
  backing_off: 'doubtful',
  live: 'good',
  ending: 'between',
  ended: 'between',
  failed: 'bad',
  cancelled: 'between',
  timed_out: 'bad',
}

/** `backing_off` reads as `backing off`. */
export const plain = (name: string): string => name.replaceAll('_', ' ')

/** `weights load, 40 %, about 3m00s left` */
export function progressWords({ phase, percent, etaMs }: Pick<LaunchView, 'phase' | 'percent' | 'etaMs'>): string {
  return `${plain(phase)}, ${percent} %${etaMs === null ? '' : `, about ${humanRough(etaMs)} left`}`
}

/** An accusation is told before the state: `suspect` weighs more than `ready`. */
export function markOfNode({ state, verdict, failure }: Pick<NodeView, 'state' | 'verdict' | 'failure'>): Marked {
  if (state === 'ready' && verdict !== 'healthy' && verdict !== 'unknown')
    return { shape: ofVerdict[verdict], word: verdict }
  if (isAccused(verdict) && state !== 'gone') return { shape: ofVerdict[verdict], word: `${state}, ${verdict}` }
  if (failure !== null && (state === 'releasing' || state === 'held')) return { shape: 'bad', word: plain(state) }
  return { shape: ofNode[state], word: plain(state) }
}

/** Since when its mark says so: an accusation has a time of its own. */
export function markedSince(
  node: Pick<NodeView, 'state' | 'verdict' | 'failure' | 'stateSince' | 'verdictSince'>,
): string {
  const isAccusation = node.state === 'ready' && markOfNode(node).shape !== 'good'
  return (isAccusation && node.verdictSince) || node.stateSince
}

export const markOfVerdict = (verdict: Verdict): Marked => ({ shape: ofVerdict[verdict], word: verdict })

export const markOfLaunch = (state: LaunchState): Marked => ({ shape: ofLaunch[state], word: plain(state) })

export function markOfDeployment({ paused, stopped, wanted, ready, starting }: DeploymentView): Marked {
  if (stopped !== null) return { shape: 'bad', word: 'stopped' }
  if (paused) return { shape: 'doubtful', word: 'paused' }
  if (wanted === 0) return { shape: 'between', word: 'none wanted' }
  if (ready >= wanted) return { shape: 'good', word: 'ready' }
  return starting > 0 ? { shape: 'busy', word: 'starting' } : { shape: 'doubtful', word: 'too few' }
}
