import assert from 'node:assert/strict'
import { afterEach, beforeEach, test, vi } from 'vitest'
import { type Beat, Heart, nextBeatMs } from './heartbeat.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})

afterEach(() => {
  vi.useRealTimers()
})

test('after a lost beat the next one comes sooner, and later ones ever later up to the interval', () => {
  assert.deepEqual(
    [1, 2, 3, 9].map((failures) => nextBeatMs('again', failures, 10_000)),
    [500, 1_000, 2_000, 10_000],
  )
  assert.equal(nextBeatMs('heard', 0, 10_000), 10_000)
  assert.equal(nextBeatMs('slow', 0, 10_000), 30_000)
})

test('nudges during a beat bring one more beat, not many, and never two at a time', async () => {
  let open = 0
  let most = 0
  let beats = 0
  const release: (() => void)[] = []
  const heart = new Heart(
    async (): Promise<Beat> => {
      beats += 1
      open += 1
      most = Math.max(most, open)
      await new Promise<void>((resolve) => release.push(resolve))
      open -= 1
      return 'heard'
    },
    () => 10_000,
  )
  heart.nudge()
  for (let i = 0; i < 5; i++) heart.nudge()
  release.shift()?.()
  await vi.advanceTimersByTimeAsync(1)
  release.shift()?.()
  await vi.advanceTimersByTimeAsync(1_000)
  assert.equal(beats, 2)
  assert.equal(most, 1)
  await vi.advanceTimersByTimeAsync(11_000)
  assert.equal(beats, 3)
  heart.stop()
})

test('it is silent once it was stopped', async () => {
  let beats = 0
  const heart = new Heart(
    async () => {
      beats += 1
      return 'heard'
    },
    () => 100,
  )
  heart.nudge()
  await vi.advanceTimersByTimeAsync(1)
  heart.stop()
  heart.nudge()
  await vi.advanceTimersByTimeAsync(10_000)
  assert.equal(beats, 1)
})
