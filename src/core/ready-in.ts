import { costMicroUsd } from './money.ts'
import { type PhasePast, phases } from './phases.ts'

/** How long a launch usually takes until it serves, and what its machine costs until then. */
export interface ReadyIn {
  readonly ms: number
  readonly costMicroUsd: number
}

// A machine is paid for from the first sight of it, which is where it boots.
const paidFrom = phases.indexOf('booting')

/** By the medians of past launches at that cloud; null where there is no past to learn from. */
export function readyIn(pricePerHourMicroUsd: number, past: PhasePast): ReadyIn | null {
  const sumFrom = (first: number) => phases.slice(first).reduce((sum, phase) => sum + (past.get(phase) ?? 0), 0)
  const ms = Math.round(sumFrom(0))
  return ms > 0 ? { ms, costMicroUsd: costMicroUsd(pricePerHourMicroUsd, sumFrom(paidFrom)) } : null
}
