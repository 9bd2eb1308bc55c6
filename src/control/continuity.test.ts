import assert from 'node:assert/strict'
import { test } from 'vitest'
import { Continuity } from './continuity.ts'

test('a server that works on has worked since its start; after a gap, or a jump of the clock, since then', () => {
  const work = new Continuity(1_000)
  for (let now = 1_000; now <= 60_000; now += 10_000) work.beat(now, now)
  assert.equal(work.since, 1_000)
  work.beat(90_000, 90_000)
  assert.equal(work.since, 90_000)
  work.beat(30_000, 90_100)
  assert.equal(work.since, 30_000)
})

test('a clock that jumps by more than five seconds is a gap, too, although every loop came in time', () => {
  const work = new Continuity(0)
  work.beat(1_000, 500_000)
  work.beat(2_000, 501_000)
  assert.equal(work.since, 0)
  work.beat(9_000, 502_000)
  assert.equal(work.since, 9_000, 'forward')
  work.beat(10_000, 503_000)
  work.beat(3_000, 504_000)
  assert.equal(work.since, 3_000, 'back')
})

test('a clock that is steered, however far in the end, is no gap', () => {
  const work = new Continuity(0)
  for (let s = 1; s <= 600; s++) work.beat(s * 1_050, s * 1_000)
  assert.equal(work.since, 0)
})
