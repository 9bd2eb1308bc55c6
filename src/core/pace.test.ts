import assert from 'node:assert/strict'
import { test } from 'vitest'
import { graceMs } from './guard.ts'
import { defaultSignalAges } from './health.ts'
import { fleetSizeAfter, leaseMsOf, paceOf } from './pace.ts'

const usual = { heartbeatMs: 10_000, signalAges: defaultSignalAges, graceMs }

test('up to 10,000 nodes speak each ten seconds; of more, all of them together no more often', () => {
  for (const nodes of [0, 1, 9_999, 10_000]) assert.deepEqual(paceOf(usual, nodes), usual)
  for (const nodes of [10_001, 25_000, 100_000]) {
    const { heartbeatMs } = paceOf(usual, nodes)
    assert.ok(nodes / (heartbeatMs / 1_000) <= 1_000, `${nodes} nodes, each ${heartbeatMs} ms`)
  }
  assert.equal(paceOf({ ...usual, heartbeatMs: 2_000 }, 5_000).heartbeatMs, 5_000)
})

test('the grace is never shorter than two heartbeats of a fleet that speaks less often, and otherwise as it was set', () => {
  for (let nodes = 1_000; nodes < 1_000_000; nodes *= 1.7) {
    const pace = paceOf(usual, nodes)
    assert.ok(pace.graceMs >= Math.max(graceMs, 2 * pace.heartbeatMs), `${nodes} nodes`)
  }
  assert.equal(paceOf({ ...usual, graceMs: 5_000 }, 10_000).graceMs, 5_000)
  assert.equal(paceOf(usual, 100_000).graceMs, 200_000)
})

test('a last word counts for five heartbeats at any size of the fleet, also while that shrinks, and the other two witnesses as ever', () => {
  for (let nodes = 1_000; nodes < 1_000_000; nodes *= 1.7) {
    const { heartbeatMs, signalAges } = paceOf(usual, nodes)
    assert.ok(signalAges.heartbeatMs >= 5 * heartbeatMs)
    assert.deepEqual({ ...signalAges, heartbeatMs: 50_000 }, defaultSignalAges)
    // A fleet that is all but gone by the next count: the longer interval of before is not too long for the new age.
    assert.ok(paceOf(usual, fleetSizeAfter(nodes, 1)).signalAges.heartbeatMs > 2 * heartbeatMs)
  }
  assert.deepEqual([fleetSizeAfter(10, 50), fleetSizeAfter(50, 10), fleetSizeAfter(11, 10)], [50, 25, 10])
})

test('the leases of a fleet end over a tenth of their length, none before its time', () => {
  const leases = Array.from({ length: 1_000 }, (_, i) => leaseMsOf(10_000, `no-${(i * 7_919_000_017).toString(36)}`))
  const [least, most] = [Math.min(...leases), Math.max(...leases)]
  assert.ok(least >= 10_000 && least < 10_050 && most <= 11_000 && most > 10_950, `${least} to ${most}`)
  assert.equal(leaseMsOf(10_000, 'no-a'), leaseMsOf(10_000, 'no-a'))
})
