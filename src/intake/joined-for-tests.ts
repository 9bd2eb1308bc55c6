import type { NodeState } from '../core/node-table.ts'
import { addNode, setNodeState, type TestWorld } from '../store/world-for-tests.ts'
import { makeJoins } from './join.ts'
import { joinRequest } from './messages-for-tests.ts'

/** A node in the state, and the credential with which its agent has joined. */
export async function joinedNode(world: TestWorld, state: NodeState): Promise<{ nodeId: string; credential: string }> {
  const { nodeId, joinToken } = await addNode(world)
  const { credential } = await makeJoins(world.deps).join(joinToken, joinRequest(), '10.9.9.9')
  await setNodeState(world.deps.store, nodeId, state)
  return { nodeId, credential }
}
