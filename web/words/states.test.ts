import { expect, test } from 'vitest'
import { groupOf } from '../../src/core/fleet-group.ts'
import { nodeStates } from '../../src/core/node-table.ts'
import { verdicts } from '../../src/core/verdict-table.ts'
import type { NodeView } from '../../src/wire/views.ts'
import { markedSince, markOfNode } from './states.ts'

test('an accusation of a node that serves has its own time, any other word that of the state', () => {
  const times = { stateSince: '2026-11-27T10:00:00.000Z', verdictSince: '2026-11-27T10:05:00.000Z', failure: null }
  expect(markedSince({ ...times, state: 'ready', verdict: 'suspect' })).toBe(times.verdictSince)
  expect(markedSince({ ...times, state: 'ready', verdict: 'degraded' })).toBe(times.verdictSince)
  expect(markedSince({ ...times, state: 'ready', verdict: 'healthy' })).toBe(times.stateSince)
  expect(markedSince({ ...times, state: 'draining', verdict: 'suspect' })).toBe(times.stateSince)
  expect(markedSince({ ...times, state: 'ready', verdict: 'suspect', verdictSince: null })).toBe(times.stateSince)
})

test('who is counted as one to look at is marked as such, and nobody else', () => {
  const failed = { code: 'out_of_memory' } as NodeView['failure']
  for (const state of nodeStates)
    for (const verdict of verdicts)
      for (const failure of [null, failed]) {
        const { shape } = markOfNode({ state, verdict, failure })
        const group = groupOf({ state, verdict, hasFailed: failure !== null })
        expect(group === 'wrong', `${state}, ${verdict}, ${failure}`).toBe(shape === 'bad' || shape === 'doubtful')
      }
})
