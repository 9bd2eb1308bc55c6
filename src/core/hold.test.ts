import { expect, test } from 'vitest'
import { holdChoices } from './hold.ts'

test('a hold is offered for no longer than is allowed, each with what it costs at most', () => {
  const times = (limitS: number) => holdChoices(3_600_000, limitS).map(({ forS, costMicroUsd }) => [forS, costMicroUsd])
  expect(times(86_400)).toEqual([
    [1_800, 1_800_000],
    [3_600, 3_600_000],
    [14_400, 14_400_000],
  ])
  expect(times(3_600).length).toBe(2)
  expect(times(600)).toEqual([[600, 600_000]])
  expect(times(0)).toEqual([])
})
