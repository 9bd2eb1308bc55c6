import { type GpuFault, isBroken } from './gpu-fault.ts'
import type { NodeState } from './node-table.ts'
import { drainUntil, endsMachine, type Notice } from './notice.ts'

export interface OrderedNode {
  readonly state: NodeState
  readonly unwanted: boolean
  readonly drainAsked: boolean
  readonly drainDeadlineAt: number | null
  readonly notice: Notice | null
  readonly gpuFaults: readonly GpuFault[]
}

export interface Order {
  readonly order: 'run' | 'drain' | 'end'
  /** Time that requests in flight still have; null: no limit is known. */
  readonly drainDeadlineMs: number | null
}

/** What an agent is told to do. A node that serves is never told to end while it may still drain. */
export function orderOf(node: OrderedNode, now: number): Order {
  const ends: Order = { order: 'end', drainDeadlineMs: null }
  if (node.state === 'releasing' || node.state === 'gone') return ends
  // Requests stay away from it; agent and engine stay, for somebody to look at.
  if (node.state === 'held') return { order: 'drain', drainDeadlineMs: null }
  const serves = node.state === 'ready' || node.state === 'draining'
  if (!serves) return node.unwanted ? ends : { order: 'run', drainDeadlineMs: null }
  const { unwanted, drainAsked, notice, gpuFaults } = node
  // One that drains for no reason any more is brought back by its loop.
  if (!unwanted && !drainAsked && !endsMachine(notice) && !isBroken(gpuFaults))
    return { order: 'run', drainDeadlineMs: null }
  const drainDeadlineAt = drainUntil(node)
  return { order: 'drain', drainDeadlineMs: drainDeadlineAt === null ? null : Math.max(0, drainDeadlineAt - now) }
}
