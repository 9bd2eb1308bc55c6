import { expect, test } from 'vitest'
import { whyNotName } from './given-name.ts'

test('a name that the API would refuse is refused in place, with what may be in one', () => {
  expect(whyNotName('team-chat.1')).toBeNull()
  expect(whyNotName('')).toBe('Give it a name.')
  for (const name of ['Team', 'a b', '<script>', 'a'.repeat(64)])
    expect(whyNotName(name), name).toMatch(/^Use lower case letters, .*63 at most\.$/)
})
