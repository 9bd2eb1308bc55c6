import { expect, test } from 'vitest'
import type { LogLine } from '../../src/wire/views.ts'
import { joined, keptLines, missingAfter } from './log-lines.ts'

const lines = (from: number, to: number): LogLine[] =>
  Array.from({ length: to - from }, (_, i) => ({
    n: from + i,
    at: '2026-03-01T12:00:00.000Z',
    source: 'engine',
    text: `line ${from + i}`,
  }))
const numbers = (some: readonly LogLine[]) => some.map(({ n }) => n)

test('lines that are told again are kept once', () => {
  expect(numbers(joined(lines(0, 5), lines(3, 7)))).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(missingAfter(lines(0, 5), lines(3, 7))).toBeNull()
  expect(missingAfter(lines(0, 5), lines(5, 7))).toBeNull()
  expect(missingAfter([], lines(5, 7))).toBeNull()
  expect(missingAfter(lines(0, 5), [])).toBeNull()
})

test('what was printed while nobody listened is found missing, and takes its place when it comes', () => {
  const had = lines(0, 5)
  const told = lines(300, 500)
  expect(missingAfter(had, told)).toBe(4)
  const held = joined(had, told)
  expect(numbers(joined(held, lines(5, 310)))).toEqual(numbers(lines(0, 500)))
})

test('of a long absence no more is asked for than is kept', () => {
  const told = lines(20_000, 20_200)
  expect(missingAfter(lines(0, 5), told)).toBe(19_999 - keptLines)
  expect(joined(lines(0, 5), lines(5, 20_000))).toHaveLength(keptLines)
})
