import { expect, test } from 'vitest'
import { CliFailure, exitCodes } from './exit.ts'
import { pickOne } from './find.ts'

const nodes = [
  { id: 'no-abc0000001', name: 'fd-home-abc' },
  { id: 'no-abd0000002', name: 'fd-home-abd' },
  { id: 'no-xyz0000003', name: 'no-abc0' },
]
const pick = (given: string) => pickOne(nodes, given, 'node', 'flightdeck nodes').id

test('a whole name or id wins over everything that begins with it', () => {
  expect(pick('no-abc0')).toBe('no-xyz0000003')
  expect(pick('no-abd0000002')).toBe('no-abd0000002')
})

test('the first letters are enough, with or without the kind of the id', () => {
  expect(pick('no-x')).toBe('no-xyz0000003')
  expect(pick('xyz')).toBe('no-xyz0000003')
  expect(pick('fd-home-abd')).toBe('no-abd0000002')
})

function refusal(given: string): CliFailure {
  try {
    pick(given)
  } catch (error) {
    if (error instanceof CliFailure) return error
  }
  throw new Error('it was not refused')
}

test('what could be several is refused, with the matches', () => {
  const { message, exitCode } = refusal('ab')
  expect(message).toBe('"ab" could be 2 of the nodes: no-abc0000001 (fd-home-abc), no-abd0000002 (fd-home-abd).')
  expect(exitCode).toBe(exitCodes.usage)
})

test('what is nothing is refused, also the empty word', () => {
  expect(refusal('zzz').record.remedy).toContain('flightdeck nodes')
  expect(refusal('').message).toBe('There is no node "".')
})
