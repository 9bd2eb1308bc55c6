import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { decideNode, type NodeView, stateLimitAt } from './decide-node.ts'
import { absent, engineFailed, factOf, known, node, now, present, refusal, traits } from './decide-node-for-tests.ts'
import { type NodeFact, type NodeState, nodeStates, nodeTable } from './node-table.ts'
import type { Notice } from './notice.ts'

describe('each fact alone', () => {
  const arrows = nodeStates.flatMap((state) =>
    Object.entries(nodeTable[state].on).map(([fact, next]) => ({ state, fact: fact as NodeFact, next })),
  )

  test.each(arrows)('$state becomes $next by $fact', ({ state, fact, next }) => {
    const decided = decideNode(node(state, known[fact]), traits, now)
    assert.deepEqual([decided.fact, decided.state], [fact, next])
  })

  test('a fact that the table does not list in a state changes nothing there', () => {
    for (const state of nodeStates) {
      for (const fact of Object.keys(known) as NodeFact[]) {
        const decided = decideNode(node(state, known[fact]), traits, now)
        const listed = nodeTable[state].on[decided.fact ?? fact] !== undefined
        assert.equal(decided.fact !== null, listed, `${state} with what makes ${fact}`)
      }
    }
  })

  test('a state of which nothing new is known stays, with the failure that it has', () => {
    for (const state of nodeStates.filter((state) => state !== 'intended'))
      assert.deepEqual(decideNode(node(state), traits, now), { fact: null, state, failure: null })
  })
})

describe('the order of the rules', () => {
  test('what ends a bill weighs most, then what is wanted, then what went wrong, then what goes well', () => {
    const everything: NodeView = node('loading', {
      ...known.vanished,
      ...known.unwanted,
      ...known.failed,
      ...known.answered,
      ...known.expired,
    })
    const without = { ...everything, ...present }
    assert.equal(factOf(everything), 'vanished')
    assert.equal(factOf(without), 'unwanted')
    assert.equal(factOf({ ...without, unwantedAt: null }), 'failed')
    assert.equal(factOf({ ...without, unwantedAt: null, failure: null }), 'answered')
    assert.equal(factOf({ ...without, unwantedAt: null, failure: null, answeredAt: null }), 'expired')
  })

  test('a machine that joined before it was ever listed needs no sighting', () => {
    assert.equal(factOf(node('requesting', { ...present, joinedAt: now })), 'joined')
  })

  test('a refusal weighs more than a machine that is seen: set-up may have failed on a machine that runs', () => {
    assert.equal(factOf(node('requesting', { ...present, refusal })), 'refused')
  })
})

describe('a notice', () => {
  const notice: Notice = { source: 'aws', kind: 'reclaim', action: 'terminate', toldAt: now, takenAt: now + 120_000 }
  const noticed = (state: NodeState, over: Partial<NodeView> = {}) =>
    node(state, { drainAskedAt: null, firstSeenAt: 0, notice, ...over })

  test('drains a node that serves, and a risk alone does not', () => {
    assert.equal(factOf(noticed('ready')), 'drain_asked')
    assert.equal(factOf(noticed('ready', { notice: { ...notice, kind: 'rebalance' } })), null)
  })

  test('fails a node that does not serve yet, for another place to be tried', () => {
    for (const state of ['booting', 'loading'] as const) {
      const { fact, failure } = decideNode(noticed(state), traits, now)
      assert.deepEqual([fact, failure?.code], ['failed', 'reclaimed'])
      assert.equal(factOf(noticed(state, { notice: { ...notice, source: 'signal' } })), null)
    }
  })

  test('ends the drain before the machine is taken, and says why the node ended', () => {
    const draining = noticed('draining', {
      stateSince: now,
      notice: { ...notice, source: 'gcp', takenAt: now + 30_000 },
    })
    assert.equal(stateLimitAt(draining, traits), now + 20_000)
    assert.equal(stateLimitAt({ ...draining, drainDeadlineAt: now + 5_000 }, traits), now + 5_000)
    assert.equal(factOf(draining, now + 19_999), null)
    const { fact, failure } = decideNode(draining, traits, now + 20_000)
    assert.deepEqual([fact, failure?.code], ['expired', 'reclaimed'])
    assert.equal(decideNode({ ...draining, ...absent(now - 100) }, traits, now).failure?.code, 'reclaimed')
  })

  test('that is withdrawn brings the node back, but not one that was drained or released by hand', () => {
    const withdrawn = noticed('draining', { notice: null })
    assert.equal(factOf(withdrawn), 'notice_withdrawn')
    assert.equal(factOf({ ...withdrawn, drainAskedAt: now }), null)
    assert.equal(factOf({ ...withdrawn, unwantedAt: now }), null)
  })

  test('of a young spot machine of EC2 leaves its end to EC2, unless it goes by itself or is released by hand', () => {
    const young = noticed('draining', { firstSeenAt: now - 1_000, drainedAt: now })
    for (const over of [{}, { drainedAt: null, stateSince: now - 50_000 }]) {
      assert.equal(factOf({ ...young, ...over }, now + 239_999), null)
      assert.notEqual(factOf({ ...young, ...over }, now + 240_000), null)
    }
    assert.equal(factOf({ ...young, ...absent(now - 100) }), 'vanished')
    assert.equal(factOf({ ...young, unwantedAt: now }), 'drained')
    for (const other of [{ spot: false }, { firstSeenAt: now - 3_600_000 }])
      assert.equal(factOf({ ...young, ...other }), 'drained')
  })
})

describe("the cloud's word that a machine is not there", () => {
  const releasing = (over: Partial<NodeView>) => factOf(node('releasing', over))

  test('counts only when it was given twice with the confirm time between', () => {
    assert.equal(releasing(absent(now - 99)), null)
    assert.equal(releasing(absent(now - 100)), 'vanished')
    assert.equal(releasing(absent(now)), null)
    assert.equal(releasing({ sighting: null }), null)
  })

  test('says nothing within the listing lag after an ask', () => {
    assert.equal(releasing({ ...absent(now - 500), askedAt: now - 1_499 }), null)
    assert.equal(releasing({ ...absent(now - 500), askedAt: now - 1_500 }), 'vanished')
  })

  test('says nothing while an ask is open, until an ask cannot be carried out any more', () => {
    assert.equal(releasing({ ...absent(now - 500), askOpen: true, askedAt: now - 1_500 }), null)
    assert.equal(releasing({ ...absent(now - 500), askOpen: true, askedAt: now - 4_499 }), null)
    assert.equal(releasing({ ...absent(now - 500), askOpen: true, askedAt: now - 4_500 }), 'vanished')
  })

  test('is not needed where nothing was ever asked of it, be it that it refused us or was away', () => {
    const never = { sighting: null, askedAt: null, firstSeenAt: null, joinedAt: null }
    for (const over of [{ refusal }, { refusal: null }])
      assert.equal(factOf(node('releasing', { ...never, ...over })), 'vanished')
    const listed = { at: now, absentSince: null, seen: 'asked' as const }
    for (const over of [{ askedAt: now }, { firstSeenAt: now }, { joinedAt: now }, { sighting: listed }])
      assert.equal(factOf(node('releasing', { ...never, ...over })), null, JSON.stringify(over))
    assert.notEqual(factOf(node('booting', never)), 'vanished')
  })

  test('never ends a node that has spoken since, in any state', () => {
    for (const state of ['booting', 'loading', 'ready', 'draining', 'releasing'] as const) {
      assert.notEqual(factOf(node(state, { ...absent(now - 500), heardAt: now - 500 })), 'vanished', state)
      assert.equal(factOf(node(state, { ...absent(now - 500), heardAt: now - 501 })), 'vanished', state)
    }
  })

  test('ends no node between two of its heartbeats, however fast it is looked at; one that we release is gone at once', () => {
    const looked = { ...absent(now - 500), silentAfterMs: 25_000 }
    for (const state of ['booting', 'loading', 'ready', 'draining'] as const) {
      assert.notEqual(factOf(node(state, { ...looked, heardAt: now - 24_999 })), 'vanished', state)
      assert.equal(factOf(node(state, { ...looked, heardAt: now - 25_000 })), 'vanished', state)
    }
    assert.equal(releasing({ ...looked, heardAt: now - 501 }), 'vanished')
  })

  test('does not end a node in requesting: a machine that is asked for may not be listed yet', () => {
    assert.equal(factOf(node('requesting', absent(now - 500))), null)
  })

  test('of a node that is gone, only a look made after its end can bring it back', () => {
    const seenAt = (at: number) => ({ sighting: { seen: 'present' as const, at, absentSince: null } })
    assert.equal(factOf(node('gone', { ...seenAt(now), stateSince: now })), null)
    assert.equal(factOf(node('gone', { ...seenAt(now + 1), stateSince: now })), 'sighted')
  })
})

describe('time limits', () => {
  test('each state that may not last for ever runs out at its own limit', () => {
    const limits = { requesting: 10_000, booting: 20_000, loading: 30_000, draining: 40_000, held: now + 90_000 }
    for (const state of nodeStates) {
      const limit = (limits as Partial<Record<NodeState, number>>)[state]
      const view = node(state, { stateSince: 0, askedAt: 0 })
      assert.equal(stateLimitAt(view, traits), limit ?? null, state)
      if (limit === undefined) continue
      assert.equal(factOf(view, limit - 1), null, state)
      assert.equal(factOf(view, limit), 'expired', state)
    }
  })

  test('none runs out while nobody was there to do his part, and a request none before the machine is asked for', () => {
    for (const state of ['requesting', 'booting', 'loading'] as const) {
      const limit = stateLimitAt(node(state, { stateSince: 0, askedAt: 0 }), traits) ?? 0
      assert.equal(stateLimitAt(node(state, { stateSince: 0, askedAt: 0, watchedSince: 7_000 }), traits), limit + 7_000)
    }
    assert.equal(stateLimitAt(node('requesting', { askedAt: null }), traits), null)
  })

  test('a request is not timed while it waits in the queue of its cloud`s own server', () => {
    const view = node('requesting', { stateSince: 0, askedAt: 0, queuedUntil: 600_000 })
    assert.equal(factOf(view, 609_999), null)
    assert.equal(factOf(view, 610_000), 'expired')
    assert.equal(stateLimitAt({ ...view, state: 'booting' }, traits), 20_000)
  })

  test('what runs out says where the time went, where that is known', () => {
    const spent = {
      limitMs: 600_000,
      step: null,
      cloudSilent: null,
      lastLines: ['agent: It waits.'],
      phases: [{ phase: 'requesting', ms: 600_000, isOpen: true, bytesPerS: null }],
    }
    const view = node('requesting', { ...known.expired, spent } as Partial<NodeView>)
    const { failure } = decideNode(view, traits, now)
    assert.equal(failure?.code, 'boot_timeout')
    assert.match(failure?.cause ?? '', /10 of 10 min in provisioning: likely no capacity/)
    assert.match(failure?.remedy ?? '', /Allow more offers/)
    assert.equal(failure?.evidence, 'agent: It waits.')
  })

  test('a drain that was given a deadline ends then, be it sooner or later than the limit', () => {
    const sooner = node('draining', { stateSince: 0, drainDeadlineAt: 5_000 })
    assert.equal(factOf(sooner, 4_999), null)
    assert.equal(factOf(sooner, 5_000), 'expired')
    assert.equal(factOf({ ...sooner, drainDeadlineAt: 60_000 }, 50_000), null)
  })
})

describe('draining and dying', () => {
  test('a node that is not wanted drains, and no withdrawn notice brings it back', () => {
    assert.equal(decideNode(node('ready', { unwantedAt: now }), traits, now).state, 'draining')
    assert.equal(factOf(node('draining', { unwantedAt: now, drainAskedAt: null })), null)
    assert.equal(factOf(node('draining', { drainAskedAt: null })), 'notice_withdrawn')
  })

  test('while the guard holds, a dead node is not released', () => {
    assert.equal(factOf(node('ready', { verdict: 'dead', mayRelease: false })), null)
    assert.equal(factOf(node('ready', { verdict: 'dead', mayRelease: true })), 'dead')
    assert.equal(factOf(node('ready', { verdict: 'suspect' })), null)
  })

  test('a node that serves in a paused deployment is taken by a person, a notice or its cloud, and by nothing else', () => {
    const paused = (over: Partial<NodeView>) => factOf(node('ready', { paused: true, ...over }))
    assert.equal(paused({ verdict: 'dead' }), null)
    assert.equal(paused({ failure: engineFailed }), null)
    assert.equal(paused({ verdict: 'dead', unwantedAt: now }), 'unwanted')
    assert.equal(paused({ verdict: 'dead', drainAskedAt: now }), 'drain_asked')
    const notice: Notice = { source: 'aws', kind: 'reclaim', action: 'terminate', toldAt: now, takenAt: now + 120_000 }
    assert.equal(paused({ notice }), 'drain_asked')
    assert.equal(paused({ verdict: 'dead', ...absent(now - 100) }), 'vanished')
    const starting = node('loading', { paused: true, failure: engineFailed })
    assert.equal(factOf(starting), 'failed', 'a launch that is under way goes on')
  })
})

describe('the failure that is kept', () => {
  const codeOf = (view: NodeView) => decideNode(view, traits, now).failure?.code ?? null

  test('says why, for each way that is nobody’s wish', () => {
    const late = { stateSince: now - 50_000, askedAt: now - 50_000 }
    assert.equal(codeOf(node('requesting', { refusal })), 'no_capacity')
    assert.equal(codeOf(node('requesting', late)), 'boot_timeout')
    assert.equal(codeOf(node('booting', late)), 'never_joined')
    assert.equal(codeOf(node('loading', late)), 'load_timeout')
    assert.equal(codeOf(node('ready', absent(now - 500))), 'node_vanished')
    const { sighting } = absent(now - 500)
    const told = node('ready', { sighting: sighting ? { ...sighting, ended: 'somebody ended it.' } : null })
    assert.equal(
      decideNode(told, traits, now).failure?.cause,
      'The machine vanished while it was ready: somebody ended it.',
    )
    assert.equal(codeOf(node('ready', { verdict: 'dead' })), 'node_dead')
  })

  test('is none for what was wished: a withdrawal, a drain that ends, a machine that ends when told to', () => {
    assert.equal(codeOf(node('loading', { unwantedAt: now })), null)
    assert.equal(codeOf(node('draining', { stateSince: now - 50_000 })), null)
    assert.equal(codeOf(node('releasing', absent(now - 500))), null)
  })

  test('is never replaced by what follows from it', () => {
    assert.equal(codeOf(node('releasing', { ...absent(now - 500), failure: engineFailed })), 'engine_failed')
  })
})

test('a draining node of which neither engine nor agent speaks any more has nothing to wait for', () => {
  const deaf = { verdict: 'suspect', heardAt: now - 60_000, stateSince: now - 1_000 } as const
  assert.equal(factOf(node('draining', deaf)), 'drained')
  for (const over of [{ heardAt: now - 59_999 }, { verdict: 'unknown' as const }, { watchedSince: now - 59_999 }])
    assert.notEqual(factOf(node('draining', { ...deaf, ...over })), 'drained')
})
