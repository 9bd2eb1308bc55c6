import assert from 'node:assert/strict'
import { test } from 'vitest'
import { Backoff } from './backoff.ts'

test('waits double up to the limit, are never exact, and start over after a success', () => {
  const backoff = new Backoff(100, 1_000)
  const waits = Array.from({ length: 6 }, () => backoff.next())
  for (const [i, full] of [100, 200, 400, 800, 1_000, 1_000].entries()) {
    const wait = waits[i] ?? 0
    assert.ok(wait >= full * 0.8 && wait <= full * 1.2, `${wait} for ${full}`)
  }
  backoff.reset()
  assert.ok(backoff.next() <= 120)
})
