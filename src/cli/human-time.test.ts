import { expect, test } from 'vitest'
import { ageOf } from './human-time.ts'

test('a clock that is behind the server shows no negative age', () => {
  expect(ageOf('2026-03-01T12:00:05.000Z', Date.parse('2026-03-01T12:00:00.000Z'))).toBe('0s')
  expect(ageOf(null, 0)).toBe('-')
})
