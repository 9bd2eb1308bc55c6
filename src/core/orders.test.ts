import { expect, test } from 'vitest'
import { nodeStates } from './node-table.ts'
import { orderOf } from './orders.ts'

const flags = [true, false]
const every = nodeStates.flatMap((state) =>
  flags.flatMap((unwanted) => flags.map((drainAsked) => ({ state, unwanted, drainAsked, drainDeadlineAt: 500 }))),
)

test('only a node that nobody wants or that is on its way out is told to end', () => {
  for (const node of every) {
    const leaving = node.state === 'releasing' || node.state === 'gone'
    const starts = ['intended', 'requesting', 'booting', 'loading'].includes(node.state)
    expect(orderOf(node, 0).order === 'end', JSON.stringify(node)).toBe(leaving || (starts && node.unwanted))
  }
})

test('a node that serves and is to go drains, with the time that is left and never less than none', () => {
  const ready = { state: 'ready' as const, unwanted: false, drainAsked: true, drainDeadlineAt: 500 }
  expect(orderOf(ready, 200)).toEqual({ order: 'drain', drainDeadlineMs: 300 })
  expect(orderOf(ready, 900)).toEqual({ order: 'drain', drainDeadlineMs: 0 })
  expect(orderOf({ ...ready, drainDeadlineAt: null }, 0)).toEqual({ order: 'drain', drainDeadlineMs: null })
  expect(orderOf({ ...ready, drainAsked: false }, 0)).toEqual({ order: 'run', drainDeadlineMs: null })
  expect(orderOf({ ...ready, state: 'draining', drainAsked: false }, 0).order).toBe('drain')
})
