import { expect, test } from 'vitest'
import { found } from './virtual.ts'
import { waitingRules } from './waiting.ts'

const { titles, sleeping } = waitingRules

test('a test without a title, or with a bare word for one, is found', () => {
  const bad = [
    "test('', f)",
    "it('  ', f)",
    'test()',
    "test.only('', f)",
    "test.each([1])('', f)",
    "test('works', f)",
    "describe('', f)",
  ]
  for (const text of bad) expect(found(titles, { 'src/core/a.test.ts': text }), text).toHaveLength(1)
  const good = [
    "test('a lost reply is asked again', f)",
    "test.each([1])('%s is odd', f)",
    "test.each([1])('%s', f)",
    'test(title, f)',
    "describe('queue', f)",
    "regex.test('')",
  ]
  for (const text of good) expect(found(titles, { 'src/core/a.test.ts': text }), text).toEqual([])
})

test('sleeping is found under every name it goes by', () => {
  const sleeps = [
    'await new Promise((r) => setTimeout(r, 100))',
    'await sleep(250)',
    'await clock.sleep(1_000)',
    'const waitMs = 500\nawait pause(waitMs)',
    "import { setTimeout as rest } from 'node:timers/promises'\nawait rest(300)",
  ]
  for (const text of sleeps) {
    expect(found(sleeping, { 'src/core/a.test.ts': text }), text).toHaveLength(1)
    expect(found(sleeping, { 'test/e2e/world.ts': text }), text).toHaveLength(1)
    expect(found(sleeping, { 'src/core/a.ts': text }), text).toEqual([])
  }
})

test('a short pause between two looks, and a limit on waiting, are no sleep', () => {
  const fine = [
    'await sleep(20)',
    'setTimeout(r, 0)',
    'await vi.waitFor(f, { timeout: 5000 })',
    'vi.advanceTimersByTime(60_000)',
    'AbortSignal.timeout(5000)',
  ]
  for (const text of fine) expect(found(sleeping, { 'src/core/a.test.ts': text }), text).toEqual([])
})
