import { actionOf, type GpuFault, isBroken } from './gpu-fault.ts'
import { mostAtOnce } from './guard.ts'
import type { NodeState } from './node-table.ts'
import { isAccused, type Verdict } from './verdict-table.ts'

/** A node that speaks, as far as replacing it for a fault of its GPUs goes. */
export interface FaultyNode {
  readonly id: string
  readonly deploymentId: string
  readonly state: NodeState
  readonly verdict: Verdict
  readonly gpuFaults: readonly GpuFault[]
}

export const isHeldBack = (faults: readonly GpuFault[]): boolean => faults.some(({ heldBack }) => heldBack === true)

/**
 * Faults that a node has just told of, in a fleet that is as given. A driver that is renewed may print them everywhere: more
 * than the guard allows at once are held back, and their machines serve on until their turn comes.
 */
export function guardFaults(
  told: readonly GpuFault[],
  nodeId: string,
  fleet: readonly Pick<FaultyNode, 'id' | 'gpuFaults'>[],
): readonly GpuFault[] {
  const broken = fleet.filter(({ id, gpuFaults }) => id === nodeId || isBroken(gpuFaults)).length
  if (broken <= mostAtOnce(fleet.length)) return told
  return told.map((fault) => (actionOf(fault) === 'replace' ? { ...fault, heldBack: true } : fault))
}

/**
 * Whose turn it is, one at a time: nobody else leaves for a faulty GPU, and as many as wanted serve beside it. `wanted`:
 * by deployment; one that is not acted upon is not in it.
 */
export function nextHeldBack(nodes: readonly FaultyNode[], wanted: ReadonlyMap<string, number>): string | null {
  if (nodes.some(({ gpuFaults }) => isBroken(gpuFaults))) return null
  const serving = (deployment: string) =>
    nodes.filter((one) => one.deploymentId === deployment && one.state === 'ready' && !isAccused(one.verdict)).length
  const isDue = ({ deploymentId }: FaultyNode) => serving(deploymentId) >= (wanted.get(deploymentId) ?? Infinity)
  return nodes.find((node) => isHeldBack(node.gpuFaults) && isDue(node))?.id ?? null
}
