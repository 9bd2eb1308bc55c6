import assert from 'node:assert/strict'
import { test } from 'vitest'
import { Continuity, tickMs } from './continuity.ts'

test('a server that works on has worked since its start; after a gap, or a jump of the clock, since then', () => {
  const work = new Continuity(1_000)
  for (let now = 1_000; now <= 60_000; now += 10_000) work.beat(now, now)
  assert.deepEqual([work.since, work.began], [1_000, 'start'])
  work.beat(90_000, 90_000)
  assert.deepEqual([work.since, work.began], [90_000, 'gap'])
  work.beat(30_000, 90_100)
  assert.deepEqual([work.since, work.began], [30_000, 'clock'])
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

test('a process that was held up for more than a second says when, and one that is a little late does not', () => {
  const work = new Continuity(0)
  for (let at = 0; at <= 10_000; at += tickMs + 900) work.tick(at, at)
  assert.equal(work.heldUpAt, null)
  work.tick(20_000, 20_000)
  assert.equal(work.heldUpAt, 20_000)
  work.tick(20_250 + 3_600_000, 20_250)
  assert.equal(work.heldUpAt, 20_000, 'a clock that jumps holds nobody up')
})

test('a clock that is set ahead is told to the rows once, again where that failed, and one that is steered or set back is not', async () => {
  const work = new Continuity(0)
  const told: number[] = []
  const at = (now: number, steady: number) => work.tellJump(now, steady, async (aheadMs) => void told.push(aheadMs))
  await at(1_000, 500)
  for (let s = 1; s <= 600; s++) await at(1_000 + s * 1_050, 500 + s * 1_000)
  assert.deepEqual(new Set(told.splice(0)), new Set([0]))
  const [now, steady] = [631_000, 600_500]
  const away = () => Promise.reject(new Error('the database is away'))
  await assert.rejects(work.tellJump(now + 60_000, steady, away))
  await Promise.all([at(now + 60_500, steady + 500), at(now + 60_600, steady + 600)])
  await at(now, steady + 1_000)
  assert.deepEqual(told, [60_000, 0, 0])
})

test('no pass decides by a time that the rows do not know of', async () => {
  const work = new Continuity(0)
  let [now, steady] = [10_000, 0]
  const clock = work.knownTo({ now: () => now, monotonicMs: () => steady })
  await work.tellJump(now, steady, async () => undefined)
  now += 1_000
  steady += 1_000
  assert.equal(clock.now(), 11_000)
  now += 3_600_000
  assert.throws(() => clock.now(), /set ahead/)
  await work.tellJump(now, steady, async () => void assert.throws(() => clock.now(), /set ahead/))
  assert.equal(clock.now(), now)
})
