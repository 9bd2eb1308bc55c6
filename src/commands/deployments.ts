import { engineCommand } from '../core/engine-command.ts'
import { Failure } from '../core/failure.ts'
import type { Tx } from '../store/database.ts'
import {
  addDeployment,
  type DeploymentRow,
  deploymentAskedBefore,
  deploymentKeyIndex,
  lockDeployment,
  setDeploymentPaused,
  setWanted,
} from '../store/deployment-requests.ts'
import type { DeploymentRequest } from '../wire/routes.ts'
import { act } from './act.ts'
import type { Actor, CommandDeps } from './context.ts'
import { refuseTooMany } from './launch-limit.ts'
import { type MadeOnce, once } from './once.ts'
import { ownModelOf, refuseOtherSource } from './own-model.ts'
import { preflight } from './preflight.ts'

/**
 * Keeps a number of replicas of a model from now on. The same key with the same request gives the same deployment.
 * @throws Failure `name_taken`, `idempotency_mismatch`, `unknown_model`, `unknown_engine`, `forbidden_argument`,
 * `malformed_argument`, and where replicas are wanted at once as `preflight` and `rate_limited`.
 */
export async function createDeployment(
  deps: CommandDeps,
  actor: Actor,
  request: DeploymentRequest,
  idempotencyKey: string | null = null,
): Promise<{ deploymentId: string }> {
  const { name, model, engineArgs, wish, wanted } = request
  const { id } = await once(deps.store.db, deploymentsOnce, actor, { request, key: idempotencyKey }, async (asking) => {
    const own = await ownModelOf(deps, actor, request)
    const { engine } = engineCommand(deps.settings, model, engineArgs, null, own)
    if (wanted > 0) await preflight(deps, actor, { ...request, own })
    return act(deps, actor, async (tx, now) => {
      if (wanted > 0) await refuseTooMany(deps, actor, tx, { machines: wanted, now })
      await refuseOtherSource(tx, { model, own })
      const keyed = { idempotencyKey: asking.key, requestHash: asking.requestHash }
      const by = { tenantId: actor.tenantId, createdBy: actor.name, ...keyed }
      const added = await addDeployment(tx, { ...request, engine, source: own?.source ?? null, ...by }, now)
      if (!added) return { result: (await asking.madeBefore(tx)) ?? refuseName(name), audit: null }
      return {
        result: { id: added, created: true },
        audit: { action: 'deployment.create', target: added, detail: { name, model, engineArgs, wish, wanted } },
      }
    })
  })
  return { deploymentId: id }
}

const deploymentsOnce: MadeOnce = { noun: 'deployment', index: deploymentKeyIndex, before: deploymentAskedBefore }

function refuseName(name: string): never {
  const remedy = `Choose another name, or have more replicas of that one: \`flightdeck scale ${name} N\`.`
  throw new Failure('name_taken', `There is a deployment "${name}" already.`, { remedy })
}

/**
 * Changes how many replicas are wanted; fewer always may. `from`: what was wanted when that was decided.
 * @throws Failure `not_found`, `rate_limited` or `bad_request` (too many at once), and `wrong_state` where another number than `from` is wanted by now.
 */
export function scaleDeployment(
  deps: CommandDeps,
  actor: Actor,
  id: string,
  { wanted, from = null }: { readonly wanted: number; readonly from?: number | null | undefined },
): Promise<{ deploymentId: string }> {
  return act(deps, actor, async (tx, now) => {
    const before = await held(tx, actor, id)
    const result = { deploymentId: id }
    // Asked again after an answer that was lost, it is done already.
    if (before.wanted === wanted) return { result, audit: null }
    if (from !== null && before.wanted !== from) {
      const cause = `The deployment "${before.name}" wants ${before.wanted} by now, not ${from}.`
      throw new Failure('wrong_state', cause, {
        remedy: 'Look at it again, and decide from there how many it shall want.',
      })
    }
    const more = wanted - before.wanted
    if (more > 0) await refuseTooMany(deps, actor, tx, { machines: more, now })
    await setWanted(tx, id, wanted)
    return {
      result,
      audit: { action: 'deployment.scale', target: id, detail: { from: before.wanted, to: wanted } },
      nudges: [['deployment', id]],
    }
  })
}

/**
 * Stops automation from starting, replacing and ending its replicas, or lets it go on; resuming also forgets the failures after
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
