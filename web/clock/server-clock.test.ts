import { expect, test } from 'vitest'
import { makeServerClock } from './server-clock.ts'

const hour = 3_600_000

function at(browserIsOffBy: number) {
  let elapsed = 0
  const truth = 1_700_000_000_000
  const clock = makeServerClock(
    () => elapsed,
    () => truth + browserIsOffBy,
  )
  return {
    clock,
    truth: () => truth + elapsed,
    pass: (ms: number) => (elapsed += ms),
    set: (ms: number) => (elapsed = ms),
  }
}

test('a browser whose clock is an hour off shows the time of the server', () => {
  const { clock, truth, pass } = at(hour)
  clock.learn(truth() + 400, 500)
  expect(Math.abs(clock.now() - truth())).toBeLessThan(500)
  clock.learn(truth(), 10)
  pass(60_000)
  expect(clock.now()).toBe(truth())
})

test('a rough word does not replace a sure one, until that is old', () => {
  const { clock, truth, pass } = at(0)
  clock.learn(truth(), 5)
  clock.learn(truth() + 300, 500)
  expect(clock.now()).toBe(truth())
  pass(700_000)
  clock.learn(truth() + 300, 500)
  expect(clock.now()).toBe(truth() + 300)
})

test('after a sleep in which nothing was counted the new word is believed', () => {
  const { clock, truth } = at(0)
  clock.learn(truth(), 5)
  clock.learn(truth() + 2 * hour, 500)
  expect(clock.now()).toBe(truth() + 2 * hour)
})
