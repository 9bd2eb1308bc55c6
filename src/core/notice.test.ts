import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import {
  type Announcement,
  drainBy,
  type Notice,
  noticeAfter,
  noticeServiceOf,
  releaseNotBefore,
  wasFree,
} from './notice.ts'

const now = 10_000_000
const said: Announcement = { source: 'aws', kind: 'reclaim', action: 'terminate', leftMs: 120_000 }
const standing: Notice = { source: 'aws', kind: 'reclaim', action: 'terminate', toldAt: now, takenAt: now + 120_000 }
const kept = (before: Notice | null, notice: Announcement | null, at = now, serviceAnswers: boolean | null = true) =>
  noticeAfter(before, { serviceAnswers, notice }, at)

describe('a notice', () => {
  test('that is repeated with a sliding time is one notice, whose time comes nearer and never moves away', () => {
    assert.deepEqual(kept(null, said), standing)
    assert.deepEqual(kept(standing, said, now + 30_000), standing)
    assert.equal(kept(standing, { ...said, leftMs: 20_000 }, now + 30_000)?.takenAt, now + 50_000)
    assert.deepEqual(kept(standing, { ...said, leftMs: null }, now + 30_000), standing)
  })

  test('is withdrawn by a service that answers, and by no silence', () => {
    assert.equal(kept(standing, null), null)
    assert.deepEqual(kept(standing, null, now, false), standing)
  })

  test('by signal is withdrawn by whatever agent starts after it', () => {
    const signal: Notice = { ...standing, source: 'signal' }
    for (const answers of [null, false, true]) assert.equal(kept(signal, null, now, answers), null)
  })
})

describe('the drain', () => {
  test('ends inside the notice, with time to stop the engine', () => assert.equal(drainBy(standing), now + 110_000))

  test('is over at once where less time is left than an engine needs', () =>
    assert.equal(drainBy({ ...standing, takenAt: now + 3_000 }), now))

  test('does not last an hour because the notice comes an hour before, or names no time', () => {
    for (const takenAt of [now + 3_600_000, null]) assert.equal(drainBy({ ...standing, takenAt }), now + 600_000)
  })
})

describe('the free first hour of EC2', () => {
  const young = now - 1_800_000

  test('leaves the end of a young spot machine to EC2, for a while', () =>
    assert.equal(releaseNotBefore(standing, true, young), now + 240_000))

  test("is nobody else's, and over after an hour", () => {
    assert.equal(releaseNotBefore(standing, false, young), null)
    assert.equal(releaseNotBefore(standing, true, now - 3_600_000 + 120_000), null)
    assert.equal(releaseNotBefore(standing, true, null), null)
    assert.equal(releaseNotBefore({ ...standing, kind: 'rebalance' }, true, young), null)
    assert.equal(releaseNotBefore({ ...standing, source: 'gcp' }, true, young), null)
  })

  test('is free only where EC2 itself took a spot machine that was surely younger', () => {
    const taken = { notice: standing, spot: true, askedAt: young, absentSince: now, endedByUs: false }
    assert.equal(wasFree(taken), true)
    const charged: Partial<typeof taken>[] = [
      { endedByUs: true },
      { spot: false },
      { askedAt: now - 3_600_000 },
      { notice: { ...standing, kind: 'rebalance' } },
      { notice: { ...standing, source: 'gcp' } },
    ]
    for (const one of charged) assert.equal(wasFree({ ...taken, ...one }), false, JSON.stringify(one))
    assert.equal(wasFree({ ...taken, notice: null }), false)
    assert.equal(wasFree({ ...taken, absentSince: null }), false)
  })
})

test('only three clouds have a service that an agent may ask', () => {
  for (const cloud of ['local', 'slurm', 'slurm/one', 'kubernetes', 'lambda', 'runpod', ''])
    assert.equal(noticeServiceOf(cloud), null, cloud)
  for (const cloud of ['aws', 'gcp', 'azure']) assert.equal(noticeServiceOf(cloud), cloud)
})
