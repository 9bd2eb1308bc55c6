import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { failureRecord } from './failure.ts'
import { backOffMs, mostTries, nextOffer, type RetryPolicy } from './retry.ts'

const policy: RetryPolicy = {
  triesPerOffer: 2,
  rounds: 2,
  firstBackOffMs: 1_000,
  maxBackOffMs: 6_000,
  waitForGoneMs: 60_000,
}
const two = ['one', 'one']
const three = ['one', 'one', 'two']
const same = failureRecord('engine_failed', 'x')
const elsewhere = failureRecord('no_capacity', 'x')
const never = failureRecord('token_refused', 'x')

test('a failure that may mend by itself is tried again at the same offer, as often as the policy says', () => {
  assert.deepEqual(
    [[], [same], [same, same], [same, same, same]].map((tried) => nextOffer(tried, three, policy)),
    [0, 0, 1, 1],
  )
})

test('a failure of the place goes on to the next offer at once', () => {
  assert.deepEqual(
    [[elsewhere], [elsewhere, elsewhere], [same, elsewhere]].map((tried) => nextOffer(tried, three, policy)),
    [1, 2, 1],
  )
})

test('an attempt that ended without a word counts as a failure of the place', () => {
  assert.equal(nextOffer([null], two, policy), 1)
})

test('the list is gone through as many rounds as the policy says, and then it is over', () => {
  assert.equal(nextOffer([elsewhere, elsewhere], two, policy), 0)
  assert.equal(nextOffer([elsewhere, elsewhere, elsewhere, elsewhere], two, policy), null)
})

test('a failure that no offer mends ends it at once, and so does an empty list', () => {
  assert.equal(nextOffer([never], three, policy), null)
  assert.equal(nextOffer([], [], policy), null)
})

test('whatever fails, tries are bounded and every offer gets its turn', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(same, elsewhere, null)),
      fc.integer({ min: 1, max: 5 }),
      (failures, offers) => {
        const most = policy.rounds * offers * policy.triesPerOffer
        const endless = [...failures, ...Array.from({ length: most }, () => elsewhere)]
        const tries: number[] = []
        for (let made = 0; made <= endless.length; made++) {
          const next = nextOffer(
            endless.slice(0, made),
            Array.from({ length: offers }, () => 'one'),
            policy,
          )
          if (next === null) break
          tries.push(next)
        }
        assert.ok(tries.length <= most)
        assert.equal(new Set(tries).size, offers)
      },
    ),
  )
})

test('the most tries that there may be are as many as there are where all to come may be tried again', () => {
  const [credentials, place] = [failureRecord('cloud_credentials', 'x'), failureRecord('no_capacity', 'x')]
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(same, place, credentials, never, null), { maxLength: 6 }),
      fc.array(fc.constantFrom('one', 'two'), { maxLength: 4 }),
      fc.record({ triesPerOffer: fc.integer({ min: 1, max: 3 }), rounds: fc.integer({ min: 1, max: 3 }) }),
      (soFar, clouds, limits) => {
        const tried = [...soFar]
        while (nextOffer(tried, clouds, { ...policy, ...limits }) !== null) tried.push(same)
        assert.equal(mostTries(soFar, clouds, { ...policy, ...limits }), tried.length)
      },
    ),
  )
})

test('what was not tried yet is tried without a wait; at what was, waits double from the first to the longest', () => {
  const many = { ...policy, triesPerOffer: 99 }
  const waitsAtOne = [0, 1, 2, 3, 4, 50].map((made) => backOffMs(Array(made).fill(same), two, many))
  assert.deepEqual(waitsAtOne, [0, 1_000, 2_000, 4_000, 6_000, 6_000])
  const waits = (...failures: (typeof same)[]) => failures.map((_, i) => backOffMs(failures.slice(0, i), three, policy))
  // A round over three places, and then the first of them once more.
  assert.deepEqual(waits(elsewhere, elsewhere, elsewhere, elsewhere, elsewhere), [0, 0, 0, 1_000, 1_000])
  assert.deepEqual(waits(same, same, same, same, elsewhere), [0, 1_000, 0, 1_000, 0])
})

test('an offer that will never do is not tried in a later round, the others are', () => {
  const refused = failureRecord('cloud_refused', 'Not sold.')
  assert.deepEqual(
    [[refused], [refused, elsewhere], [refused, elsewhere, elsewhere], [refused, refused, refused]].map((tried) =>
      nextOffer(tried, three, policy),
    ),
    [1, 2, 1, null],
  )
})

test('refused credentials end every offer of their cloud, and of no other', () => {
  const credentials = failureRecord('cloud_credentials', 'Not enabled.')
  assert.equal(nextOffer([credentials], three, policy), 2)
  assert.equal(nextOffer([credentials], two, policy), null)
  assert.equal(nextOffer([elsewhere, credentials], three, policy), 2)
})

test('a task that a cloud does not accept is not tried at its other offers, and at those of another cloud it is', () => {
  const task = failureRecord('task_refused', 'Not supported.')
  assert.deepEqual(
    [[task], [task, elsewhere], [task, task], [elsewhere, task]].map((tried) => nextOffer(tried, three, policy)),
    [2, 2, null, 2],
  )
  assert.equal(nextOffer([task], two, policy), null)
})

test('a command that is not on the machines of one cloud may be on those of another', () => {
  assert.equal(nextOffer([failureRecord('command_not_found', 'No vllm.')], three, policy), 2)
})

test('what nobody has seen before is tried twice at most at one cloud, wherever there', () => {
  const unknown = failureRecord('cloud_unknown', 'The cat is dead.')
  assert.equal(nextOffer([unknown], three, policy), 0)
  assert.equal(nextOffer([unknown, unknown], three, policy), 2)
  assert.equal(nextOffer([unknown, elsewhere, unknown], three, policy), 2)
  assert.equal(nextOffer([unknown, unknown], two, { ...policy, triesPerOffer: 5 }), null)
})
