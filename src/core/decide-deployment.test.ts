import assert from 'node:assert/strict'
import { test } from 'vitest'
import { type DeploymentView, decideDeployment } from './decide-deployment.ts'

const now = 1_000_000
const holder = (launchId: string, live = true, unwanted = false) => ({
  launchId,
  slotId: `slot of ${launchId}`,
  live,
  unwanted,
  seen: live,
  serves: live,
  inFlight: 0,
})

function decide(over: Partial<DeploymentView>, at = now) {
  const calm = { wanted: 2, paused: false, failuresInARow: 0, stopAfterFailures: 3, lastFailureAt: null }
  return decideDeployment({ ...calm, holders: [], returned: [], doubted: [], ...over }, at)
}

test('slots that nothing holds are filled, and a full deployment is left alone', () => {
  assert.deepEqual(decide({}), { fill: 2, withdraw: [], stopped: false })
  assert.deepEqual(decide({ holders: [holder('a'), holder('b')] }), { fill: 0, withdraw: [], stopped: false })
})

test('a holder on its way out still holds its slot: nothing starts beside it', () => {
  assert.equal(decide({ holders: [holder('a'), holder('b', true, true)] }).fill, 0)
})

test('of too many, what does not serve yet goes first, and of equals the newest', () => {
  const holders = [holder('a'), holder('b', false), holder('c'), holder('d', false)]
  assert.deepEqual(decide({ wanted: 3, holders }).withdraw, ['d'])
  assert.deepEqual(decide({ wanted: 1, holders }).withdraw, ['d', 'b', 'c'])
  assert.deepEqual(decide({ wanted: 0, holders }).withdraw, ['d', 'b', 'c', 'a'])
})

test('of those that are live, what gets no requests goes before what does, and what has fewer before what has more', () => {
  const busy = { ...holder('a'), inFlight: 3 }
  const holders = [busy, { ...holder('b'), serves: false }, { ...holder('c'), inFlight: 1 }]
  assert.deepEqual(decide({ wanted: 2, holders }).withdraw, ['b'])
  assert.deepEqual(decide({ wanted: 1, holders }).withdraw, ['b', 'c'])
})

test('the last one that serves stays while it has requests, and goes when they are done', () => {
  const holders = [{ ...holder('a'), inFlight: 2 }, { ...holder('b'), inFlight: 1 }, holder('c', false)]
  assert.deepEqual(decide({ wanted: 0, holders }).withdraw, ['c', 'b'])
  assert.deepEqual(decide({ wanted: 0, holders: holders.slice(0, 1) }).withdraw, [])
  assert.deepEqual(decide({ wanted: 0, holders: [holder('a')] }).withdraw, ['a'])
})

test('what is being withdrawn already is not counted and not withdrawn twice', () => {
  const holders = [holder('a'), holder('b', true, true), holder('c')]
  assert.deepEqual(decide({ wanted: 1, holders }).withdraw, ['c'])
  assert.deepEqual(decide({ wanted: 2, holders }).withdraw, [])
})

test('a paused deployment is neither filled nor emptied', () => {
  assert.deepEqual(decide({ paused: true, wanted: 0, holders: [holder('a')] }), {
    fill: 0,
    withdraw: [],
    stopped: false,
  })
})

test('after failures in a row it waits twice as long each time, and stops by itself at the limit', () => {
  const failed = (failuresInARow: number, agoMs: number) => decide({ failuresInARow, lastFailureAt: now - agoMs })
  assert.equal(failed(1, 4_999).fill, 0)
  assert.equal(failed(1, 5_000).fill, 2)
  assert.equal(failed(2, 9_999).fill, 0)
  assert.equal(failed(2, 10_000).fill, 2)
  assert.deepEqual(failed(3, 10 ** 9), { fill: 0, withdraw: [], stopped: true })
})

test('a deployment that has stopped is still emptied', () => {
  assert.deepEqual(decide({ failuresInARow: 3, lastFailureAt: now, wanted: 0, holders: [holder('a')] }).withdraw, ['a'])
})

test('a replacement that is not needed any more is withdrawn while it has cost nothing, and nothing fills its slot', () => {
  const returned = [{ launchId: 'back', slotId: 'slot of b' }]
  const replacement = holder('b', false)
  const decided = (over: object) => decide({ holders: [holder('a'), { ...replacement, ...over }], returned })
  assert.deepEqual(decided({}), { fill: 0, withdraw: ['b'], stopped: false })
  for (const over of [{ seen: true }, { live: true }, { unwanted: true }])
    assert.deepEqual(decided(over), { fill: 0, withdraw: [], stopped: false })
  assert.equal(decide({ wanted: 1, returned }).fill, 0)
})

test('an accused one whose slot nobody fills again goes once enough others serve, and at once when none is wanted', () => {
  const doubted = [{ launchId: 'd', slotId: 'slot of d' }]
  assert.deepEqual(decide({ wanted: 0, doubted }).withdraw, ['d'])
  assert.deepEqual(decide({ wanted: 1, doubted, holders: [holder('a')] }).withdraw, ['d'])
  assert.deepEqual(decide({ wanted: 1, doubted, holders: [holder('a', false)] }).withdraw, [])
  const replacement = { ...holder('b', false), slotId: 'slot of d' }
  assert.deepEqual(decide({ wanted: 2, doubted, holders: [holder('a'), replacement] }).withdraw, [])
  assert.deepEqual(decide({ wanted: 0, doubted, paused: true }).withdraw, [])
})
