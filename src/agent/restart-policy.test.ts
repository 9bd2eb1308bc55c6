import assert from 'node:assert/strict'
import { test } from 'vitest'
import { restartAfterMs } from './restart-policy.ts'

const limits = { restartBackOffMs: 1_000, maxRestartBackOffMs: 30_000, restartWindowMs: 3_600_000 }
const now = 10_000_000
const view = { everServed: true, recentRestarts: [], maxRestarts: 3, now }

test('a start that never served is not repeated here', () => {
  assert.equal(restartAfterMs({ ...view, everServed: false }, limits), null)
})

test('restarts come ever later, up to their bound', () => {
  const after = (count: number) => restartAfterMs({ ...view, recentRestarts: Array(count).fill(now - 1) }, limits)
  assert.deepEqual([0, 1, 2, 3].map(after), [1_000, 2_000, 4_000, null])
})

test('what lies longer back than the window is forgiven', () => {
  const recentRestarts = [now - 4_000_000, now - 3_900_000, now - 3_800_000]
  assert.equal(restartAfterMs({ ...view, recentRestarts }, limits), 1_000)
})

test('where no restart is allowed the first end is the last', () => {
  assert.equal(restartAfterMs({ ...view, maxRestarts: 0 }, limits), null)
})
