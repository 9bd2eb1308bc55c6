import { Failure } from '../core/failure.ts'
import { costMicroUsd as costOf, formatUsd } from '../core/money.ts'
import { lockLaunch, withdrawLaunch } from '../store/launch-requests.ts'
import { askDrain, launchOfNode, lockNode, saveHold, withdrawNode } from '../store/node-requests.ts'
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
    // One that is held is given up already: what takes its place stays.
    if (!launch.leaving && !launch.over && node.state !== 'held')
      await withdrawLaunch(tx, launch, { outcome: 'ended', by: actor.name }, now)
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

/**
 * Keeps the machine for `forS` seconds from now, should the node fail, drain or run out of time, for somebody to look at:
 * it gets no requests then, and its deployment asks for another one beside it. Null lets go of it.
 * @throws Failure `not_found`, `bad_request` for longer than is allowed, or `wrong_state` when its end is asked for.
 */
export function holdNode(
  deps: CommandDeps,
  actor: Actor,
  id: string,
  forS: number | null,
): Promise<{ nodeId: string }> {
  const { holdLimitS } = deps.settings
  return act(deps, actor, async (tx, now) => {
    if (forS !== null && forS > holdLimitS)
      throw new Failure('bad_request', `body.forS: a hold may last ${holdLimitS} s at most (\`holdLimitS\`).`)
    const node = await lockNode(tx, actor.tenantId, id)
    if (!node) throw new Failure('not_found', `There is no node ${id}.`)
    const result = { nodeId: id }
    if (forS === null && node.holdUntil === null) return { result, audit: null }
    if (node.state === 'releasing' || node.state === 'gone' || node.unwanted)
      throw new Failure(
        'wrong_state',
        `The node ${id} is ${node.state}${node.unwanted ? ' and released by hand' : ''}.`,
      )
    const until = forS === null ? null : now + forS * 1_000
    const hold = until === null ? null : { until, by: actor.name }
    const costMicroUsd = until === null ? 0 : costOf(node.pricePerHourMicroUsd, until - now)
    const kept = `${actor.name} wants to look at it: it is not released in the next ${forS} s, which costs ${formatUsd(costMicroUsd)} at most.`
    await saveHold(tx, node, hold, hold ? kept : `The hold was ended by ${actor.name}.`, now)
    return {
      result,
      audit: { action: hold ? 'node.hold' : 'node.hold_off', target: id, detail: { forS, state: node.state } },
      nudges: [['node', id]],
    }
  })
}
