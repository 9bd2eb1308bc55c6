import assert from 'node:assert/strict'
import { test } from 'vitest'
import { Continuity } from './continuity.ts'

test('a server that works on has worked since its start; after a gap, or a jump of the clock, since then', () => {
  const work = new Continuity(1_000)
  for (let now = 1_000; now <= 60_000; now += 10_000) work.beat(now)
  assert.equal(work.since, 1_000)
  work.beat(90_000)
  assert.equal(work.since, 90_000)
  work.beat(30_000)
  assert.equal(work.since, 30_000)
})
