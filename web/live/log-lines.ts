import type { LogLine } from '../../src/wire/views.ts'

/** The most lines that the page keeps; older ones are dropped. */
export const keptLines = 5_000

/** Both, in the order of their numbers, each line once. */
export function joined(had: readonly LogLine[], told: readonly LogLine[]): readonly LogLine[] {
  const lastN = had.at(-1)?.n ?? -1
  const news = told.filter(({ n }) => n > lastN)
  const late = told.filter(({ n }) => n <= lastN)
  const known = new Set(late.length > 0 ? had.map(({ n }) => n) : [])
  const between = late.filter(({ n }) => !known.has(n))
  const before = between.length > 0 ? [...had, ...between].sort((a, b) => a.n - b.n) : had
  return [...before, ...news].slice(-keptLines)
}

/**
 * The number of the line after which some are missing, of those that the page would keep; null where these go on from
 * what was there. After a reconnection the last lines alone are told.
 */
export function missingAfter(had: readonly LogLine[], told: readonly LogLine[]): number | null {
  const last = had.at(-1)
  const [first] = told
  if (!last || !first || first.n <= last.n + 1) return null
  return Math.max(last.n, first.n - 1 - keptLines)
}
