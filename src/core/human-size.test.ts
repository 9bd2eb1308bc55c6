import { expect, test } from 'vitest'
import { humanBytes, sizeWords } from './human-size.ts'

test('sizes have one digit behind the point where it says something', () => {
  expect([0, 999, 1_500_000, 9_960_000, 830_000_000, 999_600_000, 8_190_000_000].map(humanBytes)).toEqual([
    '0 kB',
    '1 kB',
    '1.5 MB',
    '10 MB',
    '830 MB',
    '1.0 GB',
    '8.2 GB',
  ])
})

test('what was not measured is not said', () => {
  expect(sizeWords({ bytes: null, bytesPerS: null })).toBe('')
  expect(sizeWords({ bytes: 0, bytesPerS: 0 })).toBe('')
  expect(sizeWords({ bytes: 5_100_000_000, bytesPerS: 84_000_000 })).toBe('5.1 GB at 84 MB/s')
  expect(sizeWords({ bytes: 5_100_000_000, bytesPerS: 0 })).toBe('5.1 GB')
})
