import { Failure } from '../core/failure.ts'
import { lockLaunch, withdrawLaunch } from '../store/launch-requests.ts'
import { askDrain, launchOfNode, lockNode, withdrawNode } from '../store/node-requests.ts'
import { act } from './act.ts'
import type { Actor, CommandDeps } from './context.ts'

/**
 * No new requests; those in flight end, within `deadlineS` if given; then the machine is given back and, if its
 * deployment still wants it, replaced. Asking twice is asking once.
 * @throws Failure `not_found` or `wrong_state`: only a ready node can drain.
 */
export function drainNode(
  deps: CommandDeps,
  actor: Actor,
  id: string,
  deadlineS?: number | undefined,
): Promise<{ nodeId: string }> {
  return act(deps, actor, async (tx, now) => {
    const node = await lockNode(tx, actor.tenantId, id)
    if (!node) throw new Failure('not_found', `There is no node ${id}.`)
    const result = { nodeId: id }
    if (node.state === 'draining' || (node.state === 'ready' && node.drainAsked)) return { result, audit: null }
    if (node.state !== 'ready')
      throw new Failure('wrong_state', `The node ${id} is ${node.state}; only a ready node drains.`)
    await askDrain(tx, node, actor.name, deadlineS === undefined ? null : now + deadlineS * 1000, now)
    return {
      result,
      audit: { action: 'node.drain', target: id, detail: { deadlineS: deadlineS ?? null } },
      nudges: [['node', id]],
    }
  })
}

/**
 * Gives the machine back now and wants one replica less. What is in flight is cut off.
 * @throws Failure `not_found`, or `wrong_state` when it is on its way out already.
 */
export function releaseNode(deps: CommandDeps, actor: Actor, id: string): Promise<{ nodeId: string }> {
  return act(deps, actor, async (tx, now) => {
    // The launch is held before its node, in the order of the launch loop.
    const launchId = await launchOfNode(tx, actor.tenantId, id)
    const launch = launchId && (await lockLaunch(tx, actor.tenantId, launchId))
    const node = await lockNode(tx, actor.tenantId, id)
    if (!launch || !node) throw new Failure('not_found', `There is no node ${id}.`)
    if (node.state === 'releasing' || node.state === 'gone')
      throw new Failure('wrong_state', `The node ${id} is ${node.state} already.`)
    if (!launch.leaving && !launch.over) await withdrawLaunch(tx, launch, { outcome: 'ended', by: actor.name }, now)
    await withdrawNode(tx, node, actor.name, now)
    return {
      result: { nodeId: id },
      audit: { action: 'node.release', target: id, detail: { state: node.state, launch: launch.id } },
      nudges: [
        ['launch', launch.id],
        ['node', id],
        ['deployment', launch.deploymentId],
      ],
    }
  })
}
