import assert from 'node:assert/strict'
import { test } from 'vitest'
import { type FaultyNode, guardFaults, isHeldBack, nextHeldBack } from './fault-guard.ts'
import { type GpuFault, isBroken } from './gpu-fault.ts'

const fallen: GpuFault = { source: 'xid', xid: 79, gpu: null, evidence: 'x', toldAt: 0 }
const application: GpuFault = { ...fallen, xid: 13 }
const waits: GpuFault = { ...fallen, heldBack: true }

const node = (id: string, over: Partial<FaultyNode> = {}): FaultyNode => ({
  id,
  deploymentId: 'd',
  state: 'ready',
  verdict: 'healthy',
  gpuFaults: [],
  ...over,
})

/** How many of a fleet leave when all of it tells of a fault, one after the other. */
function leaving(size: number): number {
  const fleet = Array.from({ length: size }, (_, i) => node(`${i}`))
  for (const [i, one] of fleet.entries())
    fleet[i] = { ...one, gpuFaults: guardFaults([application, fallen], one.id, fleet) }
  assert.equal(fleet.filter(({ gpuFaults }) => isHeldBack(gpuFaults) !== isBroken(gpuFaults)).length, size)
  return fleet.filter(({ gpuFaults }) => isBroken(gpuFaults)).length
}

test('of a fleet whose driver prints faults everywhere three leave at once, or a fifth', () => {
  assert.deepEqual([1, 2, 3, 4, 10, 15, 20, 100].map(leaving), [1, 2, 3, 3, 3, 3, 4, 20])
})

test("an application's fault is held back nowhere, and a node that leaves already leaves for its next fault, too", () => {
  const broken = ['a', 'b', 'c'].map((id) => node(id, { gpuFaults: [fallen] }))
  const fleet = [...broken, node('d')]
  assert.deepEqual(guardFaults([application], 'd', fleet), [application])
  assert.deepEqual(guardFaults([fallen], 'a', fleet), [fallen])
  assert.deepEqual(guardFaults([fallen], 'd', fleet), [waits])
})

test('the next has its turn when nobody leaves any more and as many serve as are wanted, and only where somebody acts', () => {
  const held = [node('a', { gpuFaults: [waits] }), node('b', { gpuFaults: [waits] })]
  const wanted = new Map([['d', 3]])
  assert.equal(nextHeldBack([...held, node('c')], wanted), 'a')
  assert.equal(
    nextHeldBack([...held, node('c', { state: 'loading' })], wanted),
    null,
    'its replacement is not there yet',
  )
  assert.equal(nextHeldBack([...held, node('c', { verdict: 'suspect' })], wanted), null)
  assert.equal(nextHeldBack([...held, node('c'), node('l', { state: 'draining', gpuFaults: [fallen] })], wanted), null)
  assert.equal(nextHeldBack([...held, node('c')], new Map()), null, 'its deployment is paused')
  assert.equal(nextHeldBack([node('c')], wanted), null)
})
