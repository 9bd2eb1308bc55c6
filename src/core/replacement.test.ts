import assert from 'node:assert/strict'
import { test } from 'vitest'
import { decideReplacements, type Replaceable, replacementDueAt } from './replacement.ts'

const now = 10_000_000
const node = (id: string, over: Partial<Replaceable> = {}): Replaceable => ({
  id,
  verdict: 'suspect',
  verdictSince: now - 15_000,
  restarting: false,
  onTrial: false,
  replaceAskedAt: null,
  replaced: false,
  ...over,
})
const decide = (nodes: readonly Replaceable[], guarded = false) => decideReplacements(nodes, guarded, now)

test('a node that has been accused for fifteen seconds is replaced, and one of which nobody speaks is not', () => {
  assert.deepEqual(decide([node('a')]).ask, ['a'])
  assert.deepEqual(decide([node('a', { verdict: 'dead' })]).ask, ['a'])
  assert.deepEqual(decide([node('a', { verdictSince: now - 14_999 })]).ask, [])
  for (const verdict of ['healthy', 'degraded', 'unknown'] as const)
    assert.deepEqual(decide([node('a', { verdict })]).ask, [])
  assert.deepEqual(decide([node('a', { replaceAskedAt: now - 1 })]).ask, [])
})

test('an agent that starts its engine anew is given ten minutes', () => {
  const restarting = true
  assert.deepEqual(decide([node('a', { restarting, verdictSince: now - 599_999 })]).ask, [])
  assert.deepEqual(decide([node('a', { restarting, verdictSince: now - 600_000 })]).ask, ['a'])
})

test('a node that is well again on its first trial keeps its slot, and one whose trial is longer does not', () => {
  const onTrial = true
  assert.deepEqual(decide([node('a', { onTrial, verdictSince: now - 29_999 })]).ask, [])
  assert.deepEqual(decide([node('a', { onTrial, verdictSince: now - 30_000 })]).ask, ['a'])
  assert.equal(replacementDueAt([node('a', { onTrial })], now), now + 15_000)
})

test('a node that somebody vouches for takes its slot back, and silence is no voucher', () => {
  const asked = { replaceAskedAt: now - 1 }
  assert.deepEqual(decide([node('a', { ...asked, verdict: 'healthy' })]).withdraw, ['a'])
  assert.deepEqual(decide([node('a', { ...asked, verdict: 'degraded' })]).withdraw, ['a'])
  for (const verdict of ['suspect', 'dead', 'unknown'] as const)
    assert.deepEqual(decide([node('a', { ...asked, verdict })]).withdraw, [])
})

test('under the guard one at a time is replaced, the longest accused first', () => {
  const nodes = [node('a'), node('b', { verdictSince: now - 20_000 }), node('c', { verdictSince: now - 16_000 })]
  assert.deepEqual(decide(nodes).ask, ['b', 'c', 'a'])
  assert.deepEqual(decide(nodes, true).ask, ['b'])
  const underWay = node('d', { replaceAskedAt: now - 1 })
  assert.deepEqual(decide([...nodes, underWay], true).ask, [])
  assert.deepEqual(decide([...nodes, { ...underWay, replaced: true }], true).ask, ['b'])
})

test('the next one that falls due is known beforehand', () => {
  assert.equal(
    replacementDueAt([node('a', { verdictSince: now - 5_000 }), node('b', { verdict: 'healthy' })], now),
    now + 10_000,
  )
  assert.equal(replacementDueAt([node('a')], now), null)
})
