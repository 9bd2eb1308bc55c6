import { expect, test } from 'vitest'
import { humanMs, humanRough, secondsOf } from './human-time.ts'

test('times have two units at most', () => {
  const shown = [0, 449, 9_999, 42_000, 192_000, 7_500_000, 273_600_000].map(humanMs)
  expect(shown).toEqual(['0.0s', '0.4s', '9.9s', '42s', '3m12s', '2h05m', '3d04h'])
  expect(humanRough(3_400)).toBe('3s')
})

test('times can be given with units, and nonsense is not taken for zero', () => {
  expect(['90', '90s', '15m', '1h30m', '2d'].map(secondsOf)).toEqual([90, 90, 900, 5_400, 172_800])
  expect(['', 'm', '1 h', '-5', '1.5h', '5x'].map(secondsOf)).toEqual([null, null, null, null, null, null])
})
