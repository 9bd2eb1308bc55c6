import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { type AttemptView, decideLaunch, type LaunchView } from './decide-launch.ts'
import { failureRecord } from './failure.ts'
import { isOver, launchOutcomes, launchStates, launchTable } from './launch-table.ts'
import type { NodeState } from './node-table.ts'
import { nodeStates } from './node-table.ts'
import type { RetryPolicy } from './retry.ts'

const policy: RetryPolicy = {
  triesPerOffer: 1,
  rounds: 1,
  firstBackOffMs: 1_000,
  maxBackOffMs: 8_000,
  waitForGoneMs: 60_000,
}
const now = 1_000_000
const full = failureRecord('no_capacity', 'Full.')
const refusedToken = failureRecord('token_refused', 'No such token.')

function attempt(nodeState: NodeState, over: Partial<AttemptView> = {}): AttemptView {
  return {
    closedAt: null,
    nodeState,
    nodeStateSince: now,
    nodeReadyAt: null,
    drainAsked: false,
    replaceAsked: false,
    failure: null,
    ...over,
  }
}

function launch(state: LaunchView['state'], over: Partial<LaunchView> = {}): LaunchView {
  return {
    state,
    stateSince: now,
    outcome: null,
    unwantedAt: null,
    unwantedOutcome: 'cancelled',
    deadlineAt: now + 100_000,
    offerClouds: ['one', 'one', 'two'],
    fullClouds: new Set(),
    attempts: state === 'queued' ? [] : [attempt(state === 'live' ? 'ready' : 'loading')],
    admitted: false,
    slot: 'ours',
    failure: null,
    keepsReplaced: false,
    ...over,
  }
}

const decide = (view: LaunchView, at = now) => decideLaunch(view, policy, at)
const factOf = (view: LaunchView, at = now) => decide(view, at).fact
const gone = [attempt('gone', { failure: full, closedAt: now })]

test('a launch whose node is accused gives up its slot, and ends once another one serves in it, unless the guard holds', () => {
  const accused = [attempt('ready', { nodeReadyAt: now, replaceAsked: true })]
  const live = (over: Partial<LaunchView>) => launch('live', { attempts: accused, ...over })
  assert.equal(decide(live({})).holdsSlot, false)
  assert.equal(decide(live({ attempts: [attempt('ready', { nodeReadyAt: now })], slot: 'free' })).holdsSlot, true)
  assert.equal(factOf(live({ slot: 'taken' })), null)
  assert.equal(factOf(live({ slot: 'served' })), 'unwanted')
  assert.equal(factOf(live({ slot: 'served', keepsReplaced: true })), null)
})

/** One situation for each arrow of the table. */
const situations: Record<string, LaunchView> = {
  'queued admitted': launch('queued', { admitted: true }),
  'queued exhausted': launch('queued', { admitted: true, offerClouds: [] }),
  'queued unwanted': launch('queued', { admitted: true, unwantedAt: now }),
  'queued expired': launch('queued', { admitted: true, deadlineAt: now }),
  'attempting node_ready': launch('attempting', { attempts: [attempt('ready')] }),
  'attempting attempt_failed': launch('attempting', { attempts: [attempt('releasing', { failure: full })] }),
  'attempting exhausted': launch('attempting', { attempts: [attempt('releasing', { failure: refusedToken })] }),
  'attempting unwanted': launch('attempting', { unwantedAt: now }),
  'attempting expired': launch('attempting', { deadlineAt: now }),
  'backing_off retry_due': launch('backing_off', { attempts: gone, stateSince: now - 1_000 }),
  'backing_off exhausted': launch('backing_off', { attempts: [attempt('gone', { failure: refusedToken })] }),
  'backing_off unwanted': launch('backing_off', { attempts: gone, unwantedAt: now }),
  'backing_off expired': launch('backing_off', { attempts: gone, deadlineAt: now }),
  'live node_lost': launch('live', { attempts: [attempt('releasing', { nodeReadyAt: 1 })] }),
  'live unwanted': launch('live', { unwantedAt: now }),
  ...Object.fromEntries(
    launchOutcomes.map((outcome) => [
      `ending cleared_${outcome}`,
      launch('ending', { outcome, attempts: [attempt('gone')] }),
    ]),
  ),
}

test('a next try waits while the server of its cloud works on as many launches as it should', () => {
  const view = launch('backing_off', { attempts: gone, stateSince: now - 100_000, fullClouds: new Set(['one']) })
  assert.equal(factOf(view), null)
  assert.equal(factOf({ ...view, fullClouds: new Set(['two']) }), 'retry_due')
})

describe('each fact', () => {
  const arrows = launchStates.flatMap((state) =>
    Object.entries(launchTable[state].on).map(([fact, next]) => ({ state, fact, next })),
  )

  test.each(arrows)('$state becomes $next by $fact', ({ state, fact, next }) => {
    const view = situations[`${state} ${fact}`]
    assert.ok(view)
    const decided = decide(view)
    assert.deepEqual([decided.fact, decided.state], [fact, next])
  })

  test('no fact ever leaves an end', () => {
    for (const state of launchStates.filter(isOver))
      assert.equal(factOf(launch(state, { unwantedAt: now, deadlineAt: 0, attempts: [attempt('ready')] })), null)
  })

  test('a live launch has no time limit any more', () => {
    assert.equal(factOf(launch('live', { deadlineAt: 0 })), null)
  })

  test('a queued launch that is not admitted waits', () => {
    assert.deepEqual([factOf(launch('queued')), decide(launch('queued')).openAttemptAt], [null, null])
  })

  test('ending waits until every node of the launch is gone, not only the last', () => {
    const view = launch('ending', { outcome: 'failed', attempts: [attempt('releasing'), attempt('gone')] })
    assert.equal(factOf(view), null)
  })
})

describe('the outcome', () => {
  const outcomeOf = (view: LaunchView) => decide(view).outcome

  test('is decided on the way into ending', () => {
    assert.equal(outcomeOf(launch('attempting', { unwantedAt: now })), 'cancelled')
    assert.equal(outcomeOf(launch('live', { unwantedAt: now, unwantedOutcome: 'ended' })), 'ended')
    assert.equal(outcomeOf(launch('attempting', { deadlineAt: now })), 'timed_out')
    assert.equal(outcomeOf(launch('live', { attempts: [attempt('gone')] })), 'ended')
    assert.equal(outcomeOf(launch('attempting', { attempts: [attempt('gone', { failure: refusedToken })] })), 'failed')
  })

  test('is never changed by what happens while the nodes end', () => {
    for (const outcome of launchOutcomes)
      assert.equal(outcomeOf(launch('ending', { outcome, unwantedAt: now, deadlineAt: 0 })), outcome)
  })
})

describe('attempts', () => {
  test('one is opened by an admission and by a retry, at the offer that the policy names, and at no other time', () => {
    assert.equal(decide(launch('queued', { admitted: true })).openAttemptAt, 0)
    assert.equal(decide(launch('backing_off', { attempts: gone, stateSince: now - 1_000 })).openAttemptAt, 1)
    for (const [name, view] of Object.entries(situations).filter(([name]) => !/admitted|retry_due/.test(name)))
      assert.equal(decide(view).openAttemptAt, null, name)
  })

  test('a retry waits for its time and for the last machine to be gone', () => {
    const view = launch('backing_off', { attempts: gone })
    assert.equal(factOf(view), 'retry_due')
    const sameAgain = (at: number) => decideLaunch({ ...view, offerClouds: ['one'] }, { ...policy, rounds: 2 }, at).fact
    assert.equal(sameAgain(now + 999), null)
    assert.equal(sameAgain(now + 1_000), 'retry_due')
    const leaving = { ...view, attempts: [attempt('releasing', { failure: full })] }
    assert.equal(factOf({ ...leaving }, now + 59_999), null)
  })

  test('a cloud that never says that the last machine is gone does not stop the launch for ever', () => {
    const view = launch('backing_off', { attempts: [attempt('releasing', { failure: full })] })
    assert.equal(factOf(view, now + 60_000), 'retry_due')
  })

  test('an open attempt is closed once its node was given back, and once only', () => {
    const closes = (state: LaunchView['state'], nodeState: NodeState, closedAt: number | null = null) =>
      decide(launch(state, { outcome: 'ended', attempts: [attempt(nodeState, { closedAt })] })).closeAttempt
    for (const state of nodeStates) {
      const over = ['held', 'releasing', 'gone'].includes(state)
      assert.equal(closes('ending', state), over, state)
      assert.equal(closes('ending', state, now), false, state)
    }
    assert.equal(closes('attempting', 'loading'), false)
  })

  test('nodes are withdrawn while the launch ends and any of them is not on its way out', () => {
    const withdraws = (nodes: NodeState[]) =>
      decide(launch('ending', { outcome: 'failed', attempts: nodes.map((state) => attempt(state)) })).withdrawNodes
    assert.equal(withdraws(['gone', 'loading']), true)
    assert.equal(withdraws(['loading', 'gone']), true)
    assert.equal(withdraws(['gone', 'releasing']), false)
    assert.equal(decide(launch('attempting')).withdrawNodes, false)
  })
})

describe('the slot', () => {
  const holds = (state: LaunchView['state'], ...attempts: AttemptView[]) =>
    decide(launch(state, { attempts, outcome: state === 'ending' ? 'failed' : null, stateSince: now })).holdsSlot

  test('is held from the creation until the node serves', () => {
    assert.equal(holds('queued'), true)
    for (const state of nodeStates.filter((state) => state !== 'gone'))
      assert.equal(holds('attempting', attempt(state)), true, state)
    assert.equal(holds('backing_off', attempt('gone', { failure: full })), true)
  })

  test('is given up with a node that served once it drains, so that its replacement can start', () => {
    const served = { nodeReadyAt: 1 }
    assert.equal(holds('live', attempt('ready', served)), true)
    for (const state of ['draining', 'releasing', 'gone'] as const)
      assert.equal(holds('live', attempt(state, served)), false)
  })

  test('is taken back by a launch whose node is back from a notice, unless another one holds it', () => {
    const back = (slot: LaunchView['slot']) =>
      decide(launch('live', { attempts: [attempt('ready', { nodeReadyAt: 1 })], slot }))
    assert.deepEqual([back('free').holdsSlot, back('free').fact], [true, null])
    assert.deepEqual([back('taken').holdsSlot, back('taken').fact], [false, null])
    assert.deepEqual([back('served').holdsSlot, back('served').state], [false, 'ending'])
  })

  test('of a node that drains is free, and its launch is not over: the drain may be withdrawn', () => {
    assert.equal(factOf(launch('live', { attempts: [attempt('draining', { nodeReadyAt: 1 })] })), null)
    assert.equal(factOf(launch('attempting', { attempts: [attempt('draining', { nodeReadyAt: 1 })] })), null)
    assert.equal(factOf(launch('live', { attempts: [attempt('releasing', { nodeReadyAt: 1 })] })), 'node_lost')
  })

  test('of a node that a person drained is given up without a fault to be explained; of one that went by itself, with one', () => {
    const left = (drainAsked: boolean) =>
      decide(launch('live', { attempts: [attempt('releasing', { nodeReadyAt: 1, drainAsked })] }))
    assert.deepEqual([left(true).outcome, left(true).failure], ['ended', null])
    assert.equal(left(false).failure?.code, 'node_vanished')
  })

  test('is held by a node that never served until it is gone: its engine may still run', () => {
    assert.equal(holds('ending', attempt('releasing')), true)
    assert.equal(holds('ending', attempt('gone')), false)
  })

  test('is given up at the end, and by a launch that ends without any node', () => {
    for (const state of launchStates.filter(isOver)) assert.equal(holds(state, attempt('gone')), false, state)
    assert.equal(decide(launch('ending', { outcome: 'cancelled', attempts: [] })).holdsSlot, false)
  })
})

describe('the failure', () => {
  const causeOf = (view: LaunchView) => decide(view).failure

  test('of the last attempt is the failure of the launch, and is forgotten when a node gets ready', () => {
    assert.equal(causeOf(situations['attempting attempt_failed'] as LaunchView), full)
    assert.equal(causeOf(launch('attempting', { failure: full, attempts: [attempt('ready')] })), null)
  })

  test('of an attempt is no failure of the launch any more once the next attempt begins', () => {
    assert.equal(causeOf({ ...(situations['backing_off retry_due'] as LaunchView), failure: full }), null)
  })

  test('of a time limit says where the time went, and what had failed before', () => {
    const spent = {
      limitMs: 900_000,
      step: null,
      cloudSilent: null,
      lastLines: ['engine: Loading weights', 'agent: The engine is healthy but not ready: no answer.'],
      phases: [{ phase: 'booting', ms: 840_000, isOpen: true, bytesPerS: null }],
    }
    const expired = { deadlineAt: now, spent } as Partial<LaunchView>
    const failure = causeOf(launch('attempting', { ...expired, attempts: [attempt('booting')] }))
    assert.equal(
      failure?.cause,
      'The time limit of the launch ran out: 14 of 15 min in the start of the machine: likely a slow image, or no way from it to our public address.',
    )
    assert.match(failure?.remedy ?? '', /reaches the public address/)
    assert.equal(failure?.evidence, spent.lastLines.join('\n'))
    assert.match(causeOf(launch('backing_off', { ...expired, attempts: gone }))?.cause ?? '', /had failed: Full\.$/)
    assert.equal(causeOf(launch('queued', { deadlineAt: now }))?.cause, 'The time limit of the launch ran out.')
  })

  test('of a cancelled launch says so, and a launch that is merely not needed any more has none', () => {
    assert.equal(causeOf(launch('live', { unwantedAt: now }))?.code, 'cancelled')
    assert.equal(causeOf(launch('live', { unwantedAt: now, unwantedOutcome: 'ended' })), null)
  })

  test('of a machine that ended without a word, and of a launch without an offer, is told all the same', () => {
    assert.equal(causeOf(launch('live', { attempts: [attempt('gone')] }))?.code, 'node_vanished')
    assert.equal(causeOf(launch('queued', { offerClouds: [] }))?.code, 'no_offer_fits')
  })
})

describe('a node that is held for somebody to look at', () => {
  const served = { nodeReadyAt: 1, failure: full }

  test('is given up: a live launch ends, its slot is free at once, and the node is left to whoever holds it', () => {
    const { fact, state, holdsSlot, withdrawNodes } = decide(launch('live', { attempts: [attempt('held', served)] }))
    assert.deepEqual([fact, state, holdsSlot, withdrawNodes], ['node_lost', 'ending', false, false])
    const never = decide(launch('ending', { outcome: 'failed', attempts: [attempt('held')] }))
    assert.deepEqual([never.fact, never.holdsSlot, never.withdrawNodes], [null, false, false])
  })

  test('keeps no next try waiting, and the launch is not over before the node is gone', () => {
    const backing = launch('backing_off', { attempts: [attempt('held', { failure: full })], stateSince: now - 1_000 })
    assert.equal(factOf(backing), 'retry_due')
    const clear = [attempt('held', { failure: full, closedAt: now }), attempt('gone', { closedAt: now })]
    assert.equal(factOf(launch('ending', { outcome: 'failed', attempts: clear })), null)
  })

  test('ends with its launch only when that is cancelled', () => {
    const attempts = [attempt('held', { failure: full, closedAt: now }), attempt('ready', { nodeReadyAt: now })]
    for (const unwantedOutcome of ['cancelled', 'ended'] as const) {
      const ending = launch('ending', { outcome: unwantedOutcome, attempts: [attempt('held'), attempt('gone')] })
      assert.equal(decide(ending).withdrawNodes, unwantedOutcome === 'cancelled')
      assert.equal(decide(launch('live', { unwantedAt: now, unwantedOutcome, attempts })).withdrawNodes, true)
    }
  })
})
