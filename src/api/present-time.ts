import { costMicroUsd } from '../core/money.ts'
import type { CostSoFar } from '../store/read-cost.ts'

export const iso = (ms: number): string => new Date(ms).toISOString()
export const maybeIso = (ms: number | null): string | null => (ms === null ? null : iso(ms))

/** Closed intervals, and what the open ones have come to by now. */
export function costAt({ closedMicroUsd, open }: CostSoFar, now: number): number {
  return open.reduce(
    (sum, { pricePerHourMicroUsd, since }) => sum + costMicroUsd(pricePerHourMicroUsd, now - since),
    closedMicroUsd,
  )
}
