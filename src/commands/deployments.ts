import { engineCommand } from '../core/engine-command.ts'
import { Failure } from '../core/failure.ts'
import type { Tx } from '../store/database.ts'
import {
  addDeployment,
  type DeploymentRow,
  lockDeployment,
  setDeploymentPaused,
  setWanted,
} from '../store/deployment-requests.ts'
import type { DeploymentRequest } from '../wire/routes.ts'
import { act } from './act.ts'
import type { Actor, CommandDeps } from './context.ts'
import { refuseTooMany } from './launch-limit.ts'
import { ownModelOf, refuseOtherSource } from './own-model.ts'
import { preflight } from './preflight.ts'

/**
 * Keeps a number of replicas of a model from now on.
 * @throws Failure `name_taken`, `unknown_model`, `unknown_engine`, `forbidden_argument`, `malformed_argument`, and
 * where replicas are wanted at once as `preflight` and `rate_limited`.
 */
export async function createDeployment(
  deps: CommandDeps,
  actor: Actor,
  request: DeploymentRequest,
): Promise<{ deploymentId: string }> {
  const { name, model, engineArgs, wish, wanted } = request
  const own = await ownModelOf(deps, actor, request)
  const { engine } = engineCommand(deps.settings, model, engineArgs, null, own)
  if (wanted > 0) await preflight(deps, actor, { ...request, own })
  return act(deps, actor, async (tx, now) => {
    const { tenantId, name: createdBy } = actor
    if (wanted > 0) await refuseTooMany(deps, actor, tx, now)
    await refuseOtherSource(tx, { model, own })
    const source = own?.source ?? null
    const made = { tenantId, name, model, engine, source, engineArgs, wish, wanted, createdBy }
    const added = await addDeployment(tx, made, now)
    if (!added) throw new Failure('name_taken', `There is a deployment "${name}" already.`)
    return {
      result: { deploymentId: added },
      audit: { action: 'deployment.create', target: added, detail: { name, model, engineArgs, wish, wanted } },
    }
  })
}

/** Changes how many replicas are wanted; fewer always may. @throws Failure `not_found` or `rate_limited`. */
export function scaleDeployment(
  deps: CommandDeps,
  actor: Actor,
  id: string,
  wanted: number,
): Promise<{ deploymentId: string }> {
  return act(deps, actor, async (tx, now) => {
    const before = await held(tx, actor, id)
    const result = { deploymentId: id }
    if (before.wanted === wanted) return { result, audit: null }
    if (wanted > before.wanted) await refuseTooMany(deps, actor, tx, now)
    await setWanted(tx, id, wanted)
    return {
      result,
      audit: { action: 'deployment.scale', target: id, detail: { from: before.wanted, to: wanted } },
      nudges: [['deployment', id]],
    }
  })
}

/**
 * Stops automation from filling and emptying its slots, or lets it go on; resuming also forgets the failures after
 * which refilling had stopped by itself. @throws Failure `not_found`.
 */
export function pauseDeployment(
  deps: CommandDeps,
  actor: Actor,
  id: string,
  paused: boolean,
): Promise<{ deploymentId: string }> {
  return act(deps, actor, async (tx) => {
    const before = await held(tx, actor, id)
    const result = { deploymentId: id }
    if (before.paused && paused) return { result, audit: null }
    await setDeploymentPaused(tx, id, paused)
    const action = paused ? 'deployment.pause' : 'deployment.resume'
    return { result, audit: { action, target: id, detail: { name: before.name } }, nudges: [['deployment', id]] }
  })
}

async function held(tx: Tx, actor: Actor, id: string): Promise<DeploymentRow> {
  const found = await lockDeployment(tx, actor.tenantId, { id })
  if (!found) throw new Failure('not_found', `There is no deployment ${id}.`)
  return found
}
