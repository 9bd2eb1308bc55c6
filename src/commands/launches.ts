import { type EngineCommand, engineCommand, type OwnModel } from '../core/engine-command.ts'
import { Failure } from '../core/failure.ts'
import { type LaunchTime, launchTime } from '../core/launch-time.ts'
import type { RankedOffer } from '../core/offer.ts'
import type { Tx } from '../store/database.ts'
import {
  addDeployment,
  type DeploymentRow,
  deploymentNamed,
  lockDeployment,
  setWanted,
} from '../store/deployment-requests.ts'
import { launchAskedBefore, launchKeyIndex, lockLaunch, withdrawLaunch } from '../store/launch-requests.ts'
import { openLaunch } from '../store/launches.ts'
import { withdrawHeld } from '../store/node-requests.ts'
import type { LaunchRequest } from '../wire/routes.ts'
import { act, type Done } from './act.ts'
import type { Actor, CommandDeps } from './context.ts'
import { argumentsMeant, deploymentMeant, whyTaken } from './deployment-meant.ts'
import { refuseTooMany } from './launch-limit.ts'
import { type Asking, type Made, type MadeOnce, once } from './once.ts'
import { ownModelOf, refuseOtherSource } from './own-model.ts'
import { offersForLaunch } from './preflight.ts'

/**
 * Queues one launch in a slot of its own, and wants one replica more of its deployment, which is made when it is not
 * there. The same key with the same request gives the same launch, also when both come at once.
 * @throws Failure as `planLaunch` and `preflight`, and `name_taken`, `idempotency_mismatch` or `rate_limited` (details.retryAfterS).
 */
export async function createLaunch(
  deps: CommandDeps,
  actor: Actor,
  request: LaunchRequest,
  idempotencyKey: string | null,
): Promise<{ launchId: string; created: boolean }> {
  const { store, settings } = deps
  const made = await once(store.db, launchesOnce, actor, { request, key: idempotencyKey }, async (asking) => {
    const own = await ownModelOf(deps, actor, request)
    const command = engineCommand(settings, request.model, request.engineArgs, null, own)
    const found = await deploymentNamed(store.db, actor.tenantId, deploymentMeant(request))
    const engineArgs = argumentsMeant(request, found)
    const offers = await offersForLaunch(deps, actor, { ...request, engineArgs, own })
    const time = launchTime(settings, request.timeLimitS, offers)
    return act(deps, actor, async (tx, now) => {
      await refuseTooMany(deps, actor, tx, { machines: 1, now })
      const before = await asking.madeBefore(tx)
      if (before) return { result: before, audit: null }
      return writeLaunch(actor, tx, { request, own, command, offers, time, asking }, now)
    })
  })
  return { launchId: made.id, created: made.created }
}

const launchesOnce: MadeOnce = { noun: 'launch', index: launchKeyIndex, before: launchAskedBefore }

interface Asked {
  readonly request: LaunchRequest
  readonly own: OwnModel | null
  readonly command: EngineCommand
  readonly offers: readonly RankedOffer[]
  readonly time: LaunchTime
  readonly asking: Asking
}

async function writeLaunch(
  actor: Actor,
  tx: Tx,
  { offers, time, asking, ...asked }: Asked,
  now: number,
): Promise<Done<Made>> {
  const { request } = asked
  const deployment = await deploymentFor(actor, tx, asked, now)
  await setWanted(tx, deployment.id, deployment.wanted + 1)
  const launchId = await openLaunch(
    tx,
    {
      tenantId: actor.tenantId,
      requestedBy: actor.name,
      deploymentId: deployment.id,
      origin: 'hand',
      wish: request.wish,
      timeLimitS: request.timeLimitS,
      concurrency: request.concurrency,
      offers,
      time,
      idempotencyKey: asking.key,
      requestHash: asking.requestHash,
    },
    now,
  )
  return {
    result: { id: launchId, created: true },
    audit: {
      action: 'launch.create',
      target: launchId,
      detail: { model: request.model, deployment: deployment.name, wanted: deployment.wanted + 1, wish: request.wish },
    },
  }
}

/** The deployment that gets the replica, held until the transaction ends. */
async function deploymentFor(
  actor: Actor,
  tx: Tx,
  { request, own, command: { engine } }: Pick<Asked, 'request' | 'own' | 'command'>,
  now: number,
): Promise<DeploymentRow> {
  const name = deploymentMeant(request)
  const { model, engineArgs, wish, concurrency } = request
  const { tenantId, name: createdBy } = actor
  await refuseOtherSource(tx, { model, own })
  const source = own?.source ?? null
  const made = { tenantId, name, model, engine, source, engineArgs, wish, concurrency, wanted: 0, createdBy }
  await addDeployment(tx, made, now)
  const found = await lockDeployment(tx, tenantId, { name })
  if (!found) throw new Error(`the deployment ${name} was there a moment ago`)
  const why = whyTaken(found, request)
  if (why) throw new Failure('name_taken', why.cause, why, { deploymentId: found.id })
  return found
}

/**
 * Ends a launch and everything that it started; one replica less is wanted then. Cancelling twice is cancelling once;
 * `over`: an earlier one is through.
 * @throws Failure `not_found`, or `wrong_state` when the launch is over and ended otherwise.
 */
export function cancelLaunch(deps: CommandDeps, actor: Actor, id: string): Promise<{ over: boolean }> {
  return act(deps, actor, async (tx, now) => {
    const launch = await lockLaunch(tx, actor.tenantId, id)
    if (!launch) throw new Failure('not_found', `There is no launch ${id}.`)
    if (launch.state === 'cancelled') return { result: { over: true }, audit: null }
    if (launch.over) throw new Failure('wrong_state', `The launch ${id} is over already: ${launch.state}.`)
    const result = { over: false }
    if (launch.leaving) {
      const held = await withdrawHeld(tx, id, actor.name, now)
      const audit = { action: 'launch.cancel', target: id, detail: { state: launch.state, held } }
      const nudges = held.map((nodeId) => ['node', nodeId] as const)
      return { result, audit: held.length > 0 ? audit : null, nudges: [['launch', id], ...nudges] }
    }
    await withdrawLaunch(tx, launch, { outcome: 'cancelled', by: actor.name }, now)
    return {
      result,
      audit: { action: 'launch.cancel', target: id, detail: { state: launch.state } },
      nudges: [
        ['launch', id],
        ['deployment', launch.deploymentId],
      ],
    }
  })
}
