import { expect, test } from 'vitest'
import { readyIn } from './ready-in.ts'

test('what an offer costs until it serves is its price from the first sight of the machine on, as long as launches took before', () => {
  const past = new Map([
    ['requesting', 60_000],
    ['booting', 30_000],
    ['weights_load', 90_000],
  ])
  expect(readyIn(3_600_000, past)).toEqual({ ms: 180_000, costMicroUsd: 120_000 })
})

test('nothing is told where there is no past', () => {
  expect(readyIn(3_600_000, new Map())).toBeNull()
  expect(readyIn(3_600_000, new Map([['booting', 0]]))).toBeNull()
})
