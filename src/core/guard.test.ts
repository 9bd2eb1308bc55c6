import assert from 'node:assert/strict'
import { test } from 'vitest'
import {
  type Counted,
  type Guard,
  type GuardView,
  guardKinds,
  guardOf,
  guardWith,
  holdsSweep,
  letsGo,
} from './guard.ts'

const now = 1_000_000_000
/** As many nodes, the first of them accused. */
const pool = (size: number, suspect: number, over: Partial<Counted> = {}): Counted[] =>
  Array.from({ length: size }, (_, i) => ({
    ...{ cloud: 'aws', deployment: 'chat', heldBack: false },
    accused: i < suspect,
    ...over,
  }))
const calm: GuardView = { nodes: pool(100, 0), watchingSince: 0, watchBegan: 'start', heldUpAt: null }
const half = pool(100, 50)
const faulty = [...pool(93, 0), ...pool(7, 0, { heldBack: true })]
const kindOf = (over: Partial<GuardView>) => guardOf({ ...calm, ...over }, now)?.kind ?? null

test('it holds for the grace after a start, a gap of the database or a jump of the clock, and says which of them it was', () => {
  assert.equal(guardOf(calm, now), null)
  for (const watchBegan of ['start', 'gap', 'clock'] as const) {
    assert.equal(kindOf({ watchBegan, watchingSince: now - 59_999 }), watchBegan)
    assert.equal(kindOf({ watchBegan, watchingSince: now - 60_000 }), null)
  }
})

test('it holds while nodes with faulty GPUs wait for their turn', () => {
  assert.match(guardOf({ ...calm, nodes: faulty }, now)?.reason ?? '', /7 of 100 nodes with faulty GPUs wait/)
})

test('it holds for the grace after the control plane was too busy to hear anybody', () => {
  assert.equal(kindOf({ heldUpAt: now - 59_999 }), 'held_up')
  assert.equal(kindOf({ heldUpAt: now - 60_000 }), null)
})

test('it holds while more than three and more than a fifth of the pool are suspect', () => {
  const holds = (size: number, suspect: number) => kindOf({ nodes: pool(size, suspect) }) === 'suspects'
  assert.deepEqual([holds(4, 3), holds(4, 4), holds(100, 20), holds(100, 21)], [false, true, false, true])
})

test('it holds, too, while so many of one cloud or of one deployment are suspect, however big the fleet is, and says which', () => {
  const others = pool(130, 0, { cloud: 'gcp', deployment: 'code' })
  const reasonOf = (size: number, suspect: number, over: Partial<Counted>) =>
    guardOf({ ...calm, nodes: [...others, ...pool(size, suspect, over)] }, now)?.reason ?? null
  assert.match(reasonOf(20, 20, { deployment: 'code' }) ?? '', /^20 of 20 nodes of cloud aws are suspect/)
  assert.match(reasonOf(20, 20, { cloud: 'gcp' }) ?? '', /^20 of 20 nodes of deployment chat are suspect/)
  assert.match(reasonOf(50, 40, {}) ?? '', /^40 of 180 nodes are suspect/)
  assert.equal(reasonOf(20, 4, {}), null, 'a fifth of them')
  assert.equal(reasonOf(3, 3, {}), null, 'three are no many')
})

test('a server that saw nothing of it does not lift what another one waits for, and nobody waits for longer than the grace', () => {
  const heldUp = guardOf({ ...calm, heldUpAt: now }, now) as Guard
  const many = guardOf({ ...calm, nodes: half }, now)
  assert.equal(guardWith(null, heldUp, now + 59_999), heldUp)
  assert.equal(guardWith(many, heldUp, now + 59_999), heldUp)
  assert.equal(guardWith(null, heldUp, now + 60_000), null)
  assert.equal(guardWith(null, heldUp, now - 3_600_000), null, 'the clock was set back')
  const later = guardOf({ ...calm, watchingSince: now + 10_000 }, now + 10_000)
  assert.equal(guardWith(later, heldUp, now + 10_000), later)
})

test('once no more are suspect than may be, it holds until those that come back have had the time to', () => {
  const many = guardOf({ ...calm, nodes: half }, now)
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
  for (const view of [{ nodes: half }, { nodes: faulty }])
    assert.match(guardOf({ ...calm, ...view }, now)?.reason ?? '', /once another one serves in its place, or by hand/)
})

test('lost machines are not left running for faults of GPUs, and for whatever else holds they wait', () => {
  assert.deepEqual(
    [null, 'gpu_faults', 'suspects', 'start', 'held_up'].map((kind) => holdsSweep(kind as never)),
    [false, false, true, true, true],
  )
})
