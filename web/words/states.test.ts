import { expect, test } from 'vitest'
import { markedSince } from './states.ts'

test('an accusation of a node that serves has its own time, any other word that of the state', () => {
  const times = { stateSince: '2026-11-27T10:00:00.000Z', verdictSince: '2026-11-27T10:05:00.000Z', failure: null }
  expect(markedSince({ ...times, state: 'ready', verdict: 'suspect' })).toBe(times.verdictSince)
  expect(markedSince({ ...times, state: 'ready', verdict: 'degraded' })).toBe(times.verdictSince)
  expect(markedSince({ ...times, state: 'ready', verdict: 'healthy' })).toBe(times.stateSince)
  expect(markedSince({ ...times, state: 'draining', verdict: 'suspect' })).toBe(times.stateSince)
  expect(markedSince({ ...times, state: 'ready', verdict: 'suspect', verdictSince: null })).toBe(times.stateSince)
})
