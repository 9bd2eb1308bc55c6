import assert from 'node:assert/strict'
import { test } from 'vitest'
import { backOff, readJoinWord, readWord } from './orders.ts'

const reply = { order: 'run', drainDeadlineMs: null, gateways: [], heartbeatMs: 10_000, leaseMs: 1 }

test('every status has its meaning, and only a well-formed 200 is a reply', () => {
  const kinds = [200, 204, 400, 401, 403, 404, 409, 410, 413, 422, 426, 429, 500, 503].map(
    (status) => readWord({ status, body: reply }).kind,
  )
  assert.deepEqual(kinds, [
    'reply',
    'unclear',
    'malformed',
    'unknown_here',
    'unknown_here',
    'unclear',
    'second_holder',
    'released',
    'malformed',
    'malformed',
    'too_old',
    'unclear',
    'unclear',
    'unclear',
  ])
  assert.equal(readWord({ status: 200, body: { ...reply, order: 'dance' } }).kind, 'unclear')
  assert.equal(readWord({ status: 200, body: null }).kind, 'unclear')
})

test('a join is final on a refusal, and repeated on everything that may pass', () => {
  assert.deepEqual(
    [200, 401, 403, 409, 410, 422, 426].map((status) => readJoinWord(status, true)),
    ['joined', 'refused', 'refused', 'refused', 'released', 'refused', 'refused'],
  )
  for (const status of [404, 408, 429, 500, 502, 503]) assert.equal(readJoinWord(status, false), 'again')
  assert.equal(readJoinWord(200, false), 'again', 'half a reply')
})

test('waits double from the first to the limit and stay there', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 500].map((n) => backOff(n, 100, 1_000)),
    [100, 200, 400, 800, 1_000, 1_000],
  )
})
