import { humanRough } from '../../src/core/human-time.ts'
import type { FitView, MemoryView } from '../../src/wire/catalog.ts'
import type { PlanView, SetupView } from '../../src/wire/plan.ts'
import type { Share } from '../parts/bar.tsx'
import { count } from '../words/counts.ts'
import { usd } from '../words/money.ts'

/** What the memory that a model needs is made of. */
export function memoryWords({ weightsGib, kvGib, overheadGib, context, concurrency }: MemoryView): string {
  const requests = concurrency === 1 ? `${count(context)} tokens` : `${count(concurrency)} × ${count(context)} tokens`
  return `weights ${weightsGib}, KV cache ${kvGib} for ${requests}, ${overheadGib} beside them`
}

/** Weights and cache as shares of one GPU's memory. What does not fit fills it. */
export function fitShares({ vramGib, weightsGib, kvGib, overheadGib, verdict }: FitView): Share[] {
  if (vramGib <= 0 || verdict === 'does_not_fit') return [{ name: 'too much', share: 1, look: 'over' }]
  const weights = weightsGib / vramGib
  const room = Math.max(0, 1 - weights - overheadGib / vramGib)
  return [
    { name: 'weights', share: weights },
    { name: 'cache', share: Math.min(room, kvGib / vramGib), look: 'second' },
  ]
}

/** What the bar shows, in words. */
export function fitWords(fit: FitView): string {
  const { weightsGib, kvGib, vramGib, tensorParallel, verdict, maxContext, maxConcurrency, context, concurrency } = fit
  // The engine does not run there at all: nothing was counted.
  if (context === 0) return ''
  const of = tensorParallel > 1 ? `${vramGib} GiB on each of ${tensorParallel}` : `${vramGib} GiB`
  if (verdict === 'does_not_fit') return `weights ${weightsGib} GiB, of ${of}`
  if (verdict === 'fits_with_less')
    return maxContext < context
      ? `weights ${weightsGib} GiB, of ${of}; ${count(maxContext)} of ${count(context)} tokens of context fit`
      : `weights ${weightsGib} GiB, of ${of}; ${count(concurrency)} requests of ${count(context)} tokens do not fit at once`
  return `weights ${weightsGib} GiB, KV cache ${kvGib} GiB, of ${of}; room for ${count(maxConcurrency)} × ${count(context)} tokens`
}

/** How the engine gets onto the machine, how long that takes, and whether anybody measured it. */
export function setupWords({ way, name, ms, measured, costMicroUsd }: SetupView): string {
  const how = way === 'image' ? `image ${name}` : `recipe ${name}`
  return `${how}: about ${humanRough(ms)} (${measured ? 'measured' : 'a guess'}), ${usd(costMicroUsd)}`
}

/** A limit that somebody set holds for everything; the one that follows from the offers, for what is tried. */
export const limitWords = ({ timeLimitS, timeLimitCountsWaits }: PlanView): string =>
  `${humanRough(timeLimitS * 1_000)} ${timeLimitCountsWaits ? 'in all' : 'of trying; time in queues does not count'}`
