import assert from 'node:assert/strict'
import { test } from 'vitest'
import { type Guard, type GuardView, guardKinds, guardOf, guardWith, holdsSweep, letsGo } from './guard.ts'

const now = 1_000_000_000
const calm: GuardView = {
  pool: 100,
  suspect: 0,
  watchingSince: 0,
  watchBegan: 'start',
  heldUpAt: null,
  heldBack: 0,
}
const kindOf = (over: Partial<GuardView>) => guardOf({ ...calm, ...over }, now)?.kind ?? null

test('it holds for the grace after a start, a gap of the database or a jump of the clock, and says which of them it was', () => {
  assert.equal(guardOf(calm, now), null)
  for (const watchBegan of ['start', 'gap', 'clock'] as const) {
    assert.equal(kindOf({ watchBegan, watchingSince: now - 59_999 }), watchBegan)
    assert.equal(kindOf({ watchBegan, watchingSince: now - 60_000 }), null)
  }
})

test('it holds while nodes with faulty GPUs wait for their turn', () => {
  assert.match(guardOf({ ...calm, heldBack: 7 }, now)?.reason ?? '', /7 of 100 nodes with faulty GPUs wait/)
})

test('it holds for the grace after the control plane was too busy to hear anybody', () => {
  assert.equal(kindOf({ heldUpAt: now - 59_999 }), 'held_up')
  assert.equal(kindOf({ heldUpAt: now - 60_000 }), null)
})

test('it holds while more than three and more than a fifth of the pool are suspect', () => {
  const holds = (pool: number, suspect: number) => kindOf({ pool, suspect }) === 'suspects'
  assert.deepEqual([holds(4, 3), holds(4, 4), holds(100, 20), holds(100, 21)], [false, true, false, true])
})

test('a server that saw nothing of it does not lift what another one waits for, and nobody waits for longer than the grace', () => {
  const heldUp = guardOf({ ...calm, heldUpAt: now }, now) as Guard
  const many = guardOf({ ...calm, suspect: 50 }, now)
  assert.equal(guardWith(null, heldUp, now + 59_999), heldUp)
  assert.equal(guardWith(many, heldUp, now + 59_999), heldUp)
  assert.equal(guardWith(null, heldUp, now + 60_000), null)
  assert.equal(guardWith(null, heldUp, now - 3_600_000), null, 'the clock was set back')
  const later = guardOf({ ...calm, watchingSince: now + 10_000 }, now + 10_000)
  assert.equal(guardWith(later, heldUp, now + 10_000), later)
})

test('once no more are suspect than may be, it holds until those that come back have had the time to', () => {
  const many = guardOf({ ...calm, suspect: 50 }, now)
  assert.equal(guardWith(null, many, now + 14_999, 5_000), many)
  assert.equal(guardWith(null, many, now + 15_000, 5_000), null)
})

test('a dead node goes freely under no guard, and under none but those of many at once when another one serves in its place', () => {
  assert.equal(letsGo(null, false), true)
  assert.deepEqual(
    guardKinds.filter((kind) => letsGo(kind, false)),
    [],
  )
  assert.deepEqual(
    guardKinds.filter((kind) => letsGo(kind, true)),
    ['suspects', 'gpu_faults'],
  )
  for (const view of [{ suspect: 50 }, { heldBack: 7 }])
    assert.match(guardOf({ ...calm, ...view }, now)?.reason ?? '', /once another one serves in its place, or by hand/)
})

test('lost machines are not left running for faults of GPUs, and for whatever else holds they wait', () => {
  assert.deepEqual(
    [null, 'gpu_faults', 'suspects', 'start', 'held_up'].map((kind) => holdsSweep(kind as never)),
    [false, false, true, true, true],
  )
})
