import { expect, test } from 'vitest'
import { fleetGroups, groupOf } from './fleet-group.ts'
import { nodeStates } from './node-table.ts'
import { verdicts } from './verdict-table.ts'

const all = nodeStates.flatMap((state) =>
  verdicts.flatMap((verdict) => [false, true].map((hasFailed) => ({ state, verdict, hasFailed }))),
)
const inGroup = (group: string) => all.filter((node) => groupOf(node) === group)

test('who is accused, held, degraded while it serves, or released for a failure needs a look; nobody who is gone does', () => {
  for (const node of inGroup('wrong')) {
    const { state, verdict, hasFailed } = node
    const accused = verdict === 'suspect' || verdict === 'dead'
    const why = [
      accused,
      state === 'held',
      state === 'ready' && verdict === 'degraded',
      state === 'releasing' && hasFailed,
    ]
    expect(why, JSON.stringify(node)).toContain(true)
    expect(state).not.toBe('gone')
  }
  for (const verdict of ['suspect', 'dead'] as const)
    expect(groupOf({ state: 'draining', verdict, hasFailed: false })).toBe('wrong')
  expect(groupOf({ state: 'held', verdict: 'healthy', hasFailed: false })).toBe('wrong')
  expect(groupOf({ state: 'releasing', verdict: 'healthy', hasFailed: true })).toBe('wrong')
})

test('of the others a node is ready, on its way there, or leaves', () => {
  const statesIn = (group: string) => new Set(inGroup(group).map(({ state }) => state))
  expect(statesIn('ready')).toEqual(new Set(['ready']))
  expect(statesIn('starting')).toEqual(new Set(['intended', 'requesting', 'booting', 'loading']))
  expect(statesIn('leaving')).toEqual(new Set(['draining', 'releasing', 'gone']))
  expect(new Set(all.map(groupOf))).toEqual(new Set(fleetGroups))
})
