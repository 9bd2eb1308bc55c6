import { expect, test } from 'vitest'
import { nodeStates } from './node-table.ts'
import type { Notice } from './notice.ts'
import { orderOf } from './orders.ts'

const flags = [true, false]
const every = nodeStates.flatMap((state) =>
  flags.flatMap((unwanted) =>
    flags.map((drainAsked) => ({ state, unwanted, drainAsked, drainDeadlineAt: 500, notice: null, gpuFaults: [] })),
  ),
)

test('only a node that nobody wants or that is on its way out is told to end', () => {
  for (const node of every) {
    const leaving = node.state === 'releasing' || node.state === 'gone'
    const starts = ['intended', 'requesting', 'booting', 'loading'].includes(node.state)
    expect(orderOf(node, 0).order === 'end', JSON.stringify(node)).toBe(leaving || (starts && node.unwanted))
  }
})

test('a node that serves and is to go drains, with the time that is left and never less than none', () => {
  const ready = {
    state: 'ready' as const,
    unwanted: false,
    drainAsked: true,
    drainDeadlineAt: 500,
    notice: null,
    gpuFaults: [],
  }
  expect(orderOf(ready, 200)).toEqual({ order: 'drain', drainDeadlineMs: 300 })
  expect(orderOf(ready, 900)).toEqual({ order: 'drain', drainDeadlineMs: 0 })
  expect(orderOf({ ...ready, drainDeadlineAt: null }, 0)).toEqual({ order: 'drain', drainDeadlineMs: null })
  expect(orderOf({ ...ready, drainAsked: false }, 0)).toEqual({ order: 'run', drainDeadlineMs: null })
  expect(orderOf({ ...ready, state: 'draining', drainAsked: false }, 0).order).toBe('run')
  expect(orderOf({ ...ready, state: 'draining', drainAsked: false, unwanted: true }, 0).order).toBe('drain')
})

test('a notice drains at once, within the earlier of its own time and that of a drain by hand; a risk alone does not', () => {
  const notice: Notice = { source: 'gcp', kind: 'reclaim', action: 'preempted', toldAt: 0, takenAt: 30_000 }
  const node = {
    state: 'ready' as const,
    unwanted: false,
    drainAsked: false,
    drainDeadlineAt: null,
    notice,
    gpuFaults: [],
  }
  expect(orderOf(node, 5_000)).toEqual({ order: 'drain', drainDeadlineMs: 15_000 })
  expect(orderOf({ ...node, drainAsked: true, drainDeadlineAt: 9_000 }, 5_000).drainDeadlineMs).toBe(4_000)
  expect(orderOf({ ...node, notice: { ...notice, kind: 'rebalance' } }, 0).order).toBe('run')
})

test('a node that is held takes no request, and its agent and engine stay for somebody to look at', () => {
  for (const node of every.filter(({ state }) => state === 'held'))
    expect(orderOf(node, 0)).toEqual({ order: 'drain', drainDeadlineMs: null })
})

test('a GPU that cannot be trusted drains the node, one whose engine went wrong does not', () => {
  const xid = (number: number) => ({ source: 'xid', xid: number, gpu: 'GPU-0', evidence: 'Xid', toldAt: 0 })
  const ready = { state: 'ready' as const, unwanted: false, drainAsked: false, drainDeadlineAt: null, notice: null }
  expect(orderOf({ ...ready, gpuFaults: [xid(13), xid(79)] }, 0)).toEqual({ order: 'drain', drainDeadlineMs: null })
  expect(orderOf({ ...ready, gpuFaults: [xid(13)] }, 0).order).toBe('run')
})
