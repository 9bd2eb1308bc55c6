import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { decideNode, type NodeView, stateLimitAt } from './decide-node.ts'
import { absent, engineFailed, factOf, known, node, now, refusal, traits } from './decide-node-for-tests.ts'
import { type NodeState, nodeStates } from './node-table.ts'

describe('a node that somebody wants to look at', () => {
  const hold = { holdUntil: now + 60_000 }

  test('is kept instead of released, with its failure, for whatever reason it would have ended', () => {
    const ends: readonly [NodeState, Partial<NodeView>, string | undefined][] = [
      ['booting', { refusal }, 'no_capacity'],
      ['booting', known.expired, 'never_joined'],
      ['loading', known.failed, 'engine_failed'],
      ['loading', known.expired, 'load_timeout'],
      ['ready', known.failed, 'engine_failed'],
      ['ready', known.dead, 'node_dead'],
      ['draining', known.drained, undefined],
      ['draining', known.expired, undefined],
    ]
    for (const [state, over, code] of ends) {
      const decided = decideNode(node(state, { ...over, ...hold }), traits, now)
      assert.deepEqual([decided.state, decided.failure?.code], ['held', code], state)
    }
  })

  test('serves on as long as nothing ends it, and a machine that was never seen is not kept', () => {
    assert.equal(factOf(node('ready', hold)), null)
    assert.equal(decideNode(node('requesting', { refusal, ...hold }), traits, now).state, 'releasing')
  })

  test('is released when its time is over, and at once when somebody lets it go or releases it', () => {
    const held = node('held', { failure: engineFailed, ...hold })
    assert.equal(stateLimitAt(held, traits), now + 60_000)
    assert.equal(factOf(held, now + 59_999), null)
    for (const [over, fact, at] of [
      [{}, 'expired', now + 60_000],
      [{ holdUntil: null }, 'expired', now],
      [{ unwantedAt: now }, 'unwanted', now],
    ] as const) {
      const decided = decideNode({ ...held, ...over }, traits, at)
      assert.deepEqual([decided.fact, decided.state, decided.failure], [fact, 'releasing', engineFailed])
    }
    assert.equal(decideNode({ ...held, failure: null, holdUntil: null }, traits, now).failure, null)
  })

  test('is gone when its cloud took it meanwhile, and one that was released by hand is not kept', () => {
    assert.equal(factOf(node('held', { ...hold, ...absent(now - 100) })), 'vanished')
    const released = node('draining', { ...hold, unwantedAt: now, drainedAt: now })
    assert.equal(decideNode(released, traits, now).state, 'releasing')
  })
})

describe('a fault of a GPU', () => {
  const xid = (number: number) => ({ source: 'xid', xid: number, gpu: 'GPU-0', evidence: `Xid ${number}`, toldAt: now })
  const faulty = (state: NodeState, over: Partial<NodeView> = {}) =>
    node(state, { drainAskedAt: null, gpuFaults: [xid(13), xid(79)], ...over })

  test('drains a node that serves, with its cause from then on; one that is the engine`s does nothing', () => {
    const { fact, failure } = decideNode(faulty('ready'), traits, now)
    assert.deepEqual([fact, failure?.code, failure?.evidence], ['drain_asked', 'gpu_fault', 'Xid 79'])
    for (const state of nodeStates.filter((state) => state !== 'intended' && state !== 'draining'))
      assert.equal(factOf(node(state, { gpuFaults: [xid(13)] })), null)
  })

  test('fails a node that does not serve yet, for another place to be tried', () => {
    for (const state of ['booting', 'loading'] as const) {
      const { fact, failure } = decideNode(faulty(state), traits, now)
      assert.deepEqual([fact, failure?.code, failure?.retry], ['failed', 'gpu_fault', 'elsewhere'])
    }
  })

  test('ends the drain like any other, and is never taken back, also when a notice is', () => {
    const draining = faulty('draining')
    assert.equal(factOf(draining), null)
    assert.equal(stateLimitAt(draining, traits), draining.stateSince + traits.drainLimitMs)
    assert.equal(factOf({ ...draining, drainedAt: now }), 'drained')
    assert.equal(decideNode({ ...draining, drainedAt: now }, traits, now).failure?.code, 'gpu_fault')
  })

  test('is not why a node ends that somebody released', () => {
    const released = faulty('draining', { unwantedAt: now, drainedAt: now })
    assert.equal(decideNode(released, traits, now).failure, null)
  })
})
