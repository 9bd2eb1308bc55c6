import assert from 'node:assert/strict'
import { test } from 'vitest'
import { failureRecord } from './failure.ts'
import {
  type CapacityWord,
  isRefusal,
  type Place,
  defaultCapacityPolicy as policy,
  rememberedMs,
  standingOf,
} from './offer-memory.ts'

const now = 1_000_000_000
const minute = 60_000
const place: Place = { cloud: 'aws', region: 'east', gpu: 'L4', gpuCount: 2, spot: false }
const word = (minutesAgo: number, refusedFor: string | null, over: Partial<Place> = {}): CapacityWord => ({
  ...place,
  ...over,
  at: now - minutesAgo * minute,
  refusedFor,
})
const refused = (minutesAgo: number, over: Partial<Place> = {}) => word(minutesAgo, 'no_capacity', over)
const gave = (minutesAgo: number, over: Partial<Place> = {}) => word(minutesAgo, null, over)
const factor = (...words: CapacityWord[]) => standingOf(place, words, policy, now)?.factor ?? 1

test('a fresh refusal doubles what the price counts as, a second one doubles it again, and both fade by half-lives', () => {
  assert.equal(factor(refused(0)), 2)
  assert.equal(factor(refused(0), refused(0)), 4)
  assert.equal(factor(refused(60)), 1.189)
  assert.ok(factor(refused(60)) < factor(refused(30)))
})

test('a machine that came raises the offer for a while, and ends the refusals before it', () => {
  assert.equal(factor(gave(0)), 0.9)
  assert.ok(factor(gave(30)) > 0.9 && factor(gave(30)) < 1)
  assert.equal(factor(refused(5), gave(0)), 0.9)
  assert.equal(factor(gave(5), refused(0)) > 1.7, true)
})

test('only what a cloud refuses at a place counts against the place', () => {
  for (const code of [
    'no_capacity',
    'no_quota',
    'boot_timeout',
    'node_vanished',
    'cloud_refused',
    'cloud_credentials',
    'task_refused',
  ] as const)
    assert.equal(isRefusal(failureRecord(code, 'x')), true, code)
  assert.equal(isRefusal(failureRecord('cloud_refused', 'cancelled at its server', { retry: 'same' })), false)
  assert.equal(isRefusal(failureRecord('task_refused', 'a bad task', { fault: 'us' })), false)
  assert.equal(isRefusal(failureRecord('engine_exited', 'x')), false)
})

test('what is older than the memory says nothing', () => {
  const old = rememberedMs(policy) / minute
  assert.equal(standingOf(place, [refused(old), gave(old)], policy, now), null)
  assert.equal(standingOf(place, [], policy, now), null)
})

test('no room for fewer GPUs is no room for more, and a machine with more says that there is room for fewer', () => {
  assert.equal(factor(refused(0, { gpuCount: 1 })), 2)
  assert.equal(factor(refused(0, { gpuCount: 4 })), 1)
  assert.equal(factor(gave(0, { gpuCount: 4 })), 0.9)
  assert.equal(factor(gave(0, { gpuCount: 1 })), 1)
})

test('a word is about its own place, GPU and kind of machine; refused credentials are about the whole cloud', () => {
  for (const other of [{ region: 'west' }, { gpu: 'T4' }, { spot: true }, { cloud: 'gcp' }])
    assert.equal(factor(refused(0, other), gave(0, other)), 1, JSON.stringify(other))
  assert.equal(factor(word(0, 'cloud_credentials', { region: 'west', gpu: 'T4', spot: true })), 2)
  assert.equal(factor(word(0, 'cloud_credentials', { cloud: 'gcp' })), 1)
})

test('the reasons are told with their numbers', () => {
  assert.deepEqual(standingOf(place, [refused(10), refused(4), gave(20)], policy, now), {
    factor: standingOf(place, [refused(10), refused(4), gave(20)], policy, now)?.factor,
    refusals: 2,
    refusedAt: now - 4 * minute,
    refusedFor: 'no_capacity',
    gaveAt: now - 20 * minute,
  })
})

test('however often it was refused, an offer can be ranked', () => {
  const often = Array.from({ length: 500 }, () => refused(0))
  assert.equal(factor(...often), 64)
})
