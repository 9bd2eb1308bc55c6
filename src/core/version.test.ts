import { expect, test } from 'vitest'
import { isOlderVersion } from './version.ts'

test('versions are compared number by number, and what is no number is neither older nor newer', () => {
  for (const [older, newer] of [
    ['0.1.0', '0.2.0'],
    ['0.9.0', '0.10.0'],
    ['1.2.3', '2.0.0'],
  ] as const) {
    expect([older, newer, isOlderVersion(older, newer)]).toEqual([older, newer, true])
    expect([newer, older, isOlderVersion(newer, older)]).toEqual([newer, older, false])
  }
  for (const other of ['0.1.0', 'dev', '', 'of an unknown version']) {
    expect(isOlderVersion('0.1.0', other)).toBe(false)
    expect(isOlderVersion(other, '0.1.0')).toBe(false)
  }
})
