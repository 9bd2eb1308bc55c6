import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { costMicroUsd, formatUsd, microUsdOf } from './money.ts'

test('a cost is a whole number of micro-dollars and never negative', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000_000), fc.integer({ min: -1_000, max: 10 ** 9 }), (price, ms) => {
      const cost = costMicroUsd(price, ms)
      assert.ok(Number.isInteger(cost) && cost >= 0)
    }),
  )
})

test('an hour costs the price of an hour, and half an hour half of it', () => {
  assert.equal(costMicroUsd(2_500_000, 3_600_000), 2_500_000)
  assert.equal(costMicroUsd(2_500_000, 1_800_000), 1_250_000)
})

test('a time that is cut in two costs the same but for one rounding', () => {
  fc.assert(
    fc.property(fc.nat(100_000_000), fc.nat(10_000_000), fc.nat(10_000_000), (price, a, b) => {
      const apart = costMicroUsd(price, a) + costMicroUsd(price, b)
      assert.ok(Math.abs(apart - costMicroUsd(price, a + b)) <= 1)
    }),
  )
})

test('dollars come in as people write them and go out with the digits that matter', () => {
  assert.equal(microUsdOf(1.23), 1_230_000)
  assert.equal(microUsdOf(0.1 + 0.2), 300_000)
  assert.equal(formatUsd(1_234_567), '$1.2346')
  assert.equal(formatUsd(-50_000), '-$0.0500')
  assert.equal(formatUsd(1_817_700_000), '$1817.70')
})
