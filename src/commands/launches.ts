import type { HubToken } from '../core/catalog.ts'
import { type EngineCommand, engineCommand, type OwnModel } from '../core/engine-command.ts'
import type { EngineArguments, EngineName } from '../core/engine-presets.ts'
import { Failure, type FailureRecord } from '../core/failure.ts'
import { mayHold } from '../core/fit.ts'
import { type LaunchTime, launchTime, warningsOfTime } from '../core/launch-time.ts'
import { hoursPerMonth } from '../core/money.ts'
import { type OfferRead, type RankedOffer, type Wish, wishesCloud } from '../core/offer.ts'
import { type FittedOffer, warningsOf } from '../core/preflight.ts'
import { canonicalJson } from '../lib/canonical.ts'
import { sha256 } from '../lib/chance.ts'
import type { Tx } from '../store/database.ts'
import {
  addDeployment,
  argumentsOfDeployment,
  type DeploymentRow,
  lockDeployment,
  setWanted,
} from '../store/deployment-requests.ts'
import {
  type AskedBefore,
  askedBefore,
  idempotencyIndex,
  lockLaunch,
  queueLength,
  withdrawLaunch,
} from '../store/launch-requests.ts'
import { openLaunch } from '../store/launches.ts'
import { withdrawHeld } from '../store/node-requests.ts'
import { loadOfferReads } from '../store/offers.ts'
import { isTaken } from '../store/transact.ts'
import type { LaunchRequest } from '../wire/routes.ts'
import { act, type Done } from './act.ts'
import type { Actor, CommandDeps } from './context.ts'
import { refuseTooMany } from './launch-limit.ts'
import { ownModelOf, refuseOtherSource } from './own-model.ts'
import { check, offersForLaunch } from './preflight.ts'

/** What a launch would do and cost. Offers are in the order of trying; last come those that cannot hold the model. */
export interface Plan {
  /** As it was asked for. */
  readonly wish: Wish
  readonly replicas: number
  readonly model: string
  readonly engine: EngineName
  readonly argv: string[]
  readonly deployment: string
  readonly offers: readonly FittedOffer[]
  /** Why a launch would be refused; none where it would be queued. */
  readonly refusals: readonly FailureRecord[]
  readonly hubToken: HubToken
  /** Whether each wished cloud says what it offers. */
  readonly clouds: readonly OfferRead[]
  readonly pricePerHourMicroUsd: number
  readonly pricePerMonthMicroUsd: number
  readonly totalPerHourMicroUsd: number
  readonly totalPerMonthMicroUsd: number
  readonly timeLimitS: number
  /** False: neither our queue nor that of a cloud's server costs any of it. */
  readonly timeLimitCountsWaits: boolean
  readonly queuePlace: number
  readonly warnings: string[]
}

/**
 * What would happen, before money is spent, also where it would be that a launch is refused.
 * @throws Failure `unknown_model`, `unknown_engine`, `forbidden_argument` or `malformed_argument`: there is nothing to plan.
 */
export async function planLaunch(
  deps: CommandDeps,
  actor: Actor,
  request: Omit<LaunchRequest, 'dryRun'>,
  replicas = 1,
): Promise<Plan> {
  const engineArgs = await argumentsMeant(deps, actor, request)
  // What is wrong with the request is told before what is wrong with the offers.
  const own = await ownModelOf(deps, actor, request)
  engineCommand(deps.settings, request.model, engineArgs, null, own)
  const { offers, refusals, hubToken } = await check(deps, actor, { ...request, engineArgs, own })
  const command = engineCommand(deps.settings, request.model, engineArgs, offers[0] ?? null, own)
  const tried = offers.filter(mayHold)
  const time = launchTime(deps.settings, request.timeLimitS, tried)
  const pricePerHourMicroUsd = offers.find(mayHold)?.pricePerHourMicroUsd ?? 0
  return {
    wish: request.wish,
    replicas,
    model: request.model,
    engine: command.engine,
    argv: command.argv,
    deployment: request.deployment ?? deploymentNameOf(request.model),
    offers,
    refusals,
    hubToken,
    clouds: (await loadOfferReads(deps.store.db)).filter(({ cloud }) => wishesCloud(request.wish, cloud)),
    pricePerHourMicroUsd,
    pricePerMonthMicroUsd: pricePerHourMicroUsd * hoursPerMonth,
    totalPerHourMicroUsd: pricePerHourMicroUsd * replicas,
    totalPerMonthMicroUsd: pricePerHourMicroUsd * replicas * hoursPerMonth,
    timeLimitS: Math.round(time.limitMs / 1_000),
    timeLimitCountsWaits: time.waitsCount,
    queuePlace: (await queueLength(deps.store.db)) + 1,
    warnings: [...warningsOfTime(time, tried), ...warningsOf(deps.settings, tried)],
  }
}

/** A deployment that is named on purpose gives the arguments where the request has none. */
async function argumentsMeant(
  { store }: CommandDeps,
  { tenantId }: Actor,
  { deployment: name, model, engineArgs }: Pick<LaunchRequest, 'deployment' | 'model' | 'engineArgs'>,
): Promise<EngineArguments> {
  if (name === undefined || Object.keys(engineArgs).length > 0) return engineArgs
  return (await argumentsOfDeployment(store.db, tenantId, { name, model })) ?? engineArgs
}

/** A model's name as a deployment may be called: `Org/Model-7B` becomes `org-model-7b`. */
export function deploymentNameOf(model: string): string {
  return model
    .toLowerCase()
    .replace(/[^a-z0-9._-]/g, '-')
    .slice(0, 63)
}

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
  const requestHash = sha256(canonicalJson(request))
  const repeated = async (db: CommandDeps['store']['db'] | Tx) => {
    const before = idempotencyKey && (await askedBefore(db, ownerOf(actor), idempotencyKey))
    return before ? sameLaunch(before, requestHash) : null
  }
  // Looked up first: a repeated request must find its launch also when nothing would be offered for it by now.
  const before = await repeated(deps.store.db)
  if (before) return before
  const own = await ownModelOf(deps, actor, request)
  const command = engineCommand(deps.settings, request.model, request.engineArgs, null, own)
  const engineArgs = await argumentsMeant(deps, actor, request)
  const offers = await offersForLaunch(deps, actor, { ...request, engineArgs, own })
  const time = launchTime(deps.settings, request.timeLimitS, offers)
  const asked = { request, own, command, offers, time, idempotencyKey, requestHash }
  try {
    return await act(deps, actor, async (tx, now) => {
      await refuseTooMany(deps, actor, tx, now)
      const again = await repeated(tx)
      return again ? { result: again, audit: null } : writeLaunch(actor, tx, asked, now)
    })
  } catch (error) {
    // Another server was faster with the same key; its launch is there now.
    const again = isTaken(error, idempotencyIndex) ? await repeated(deps.store.db) : null
    if (again) return again
    throw error
  }
}

const ownerOf = (actor: Actor) => ({ tenantId: actor.tenantId, requestedBy: actor.name })

function sameLaunch(before: AskedBefore, requestHash: string): { launchId: string; created: boolean } {
  if (before.requestHash === requestHash) return { launchId: before.launchId, created: false }
  const cause = `The idempotency key was used before, for launch ${before.launchId}, with another request.`
  throw new Failure('idempotency_mismatch', cause, {}, { launchId: before.launchId })
}

interface Asked {
  readonly request: LaunchRequest
  readonly own: OwnModel | null
  readonly command: EngineCommand
  readonly offers: readonly RankedOffer[]
  readonly time: LaunchTime
  readonly idempotencyKey: string | null
  readonly requestHash: string
}

async function writeLaunch(
  actor: Actor,
  tx: Tx,
  { request, own, command, offers, time, idempotencyKey, requestHash }: Asked,
  now: number,
): Promise<Done<{ launchId: string; created: boolean }>> {
  const deployment = await deploymentFor(actor, tx, { ...request, own }, command, now)
  await setWanted(tx, deployment.id, deployment.wanted + 1)
  const launchId = await openLaunch(
    tx,
    {
      ...ownerOf(actor),
      deploymentId: deployment.id,
      origin: 'hand',
      wish: request.wish,
      offers,
      time,
      idempotencyKey,
      requestHash,
    },
    now,
  )
  return {
    result: { launchId, created: true },
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
  request: Omit<LaunchRequest, 'own'> & { readonly own: OwnModel | null },
  { engine }: EngineCommand,
  now: number,
): Promise<DeploymentRow> {
  const name = request.deployment ?? deploymentNameOf(request.model)
  const { model, own, engineArgs, wish } = request
  const { tenantId, name: createdBy } = actor
  await refuseOtherSource(tx, { model, own })
  const source = own?.source ?? null
  await addDeployment(tx, { tenantId, name, model, engine, source, engineArgs, wish, wanted: 0, createdBy }, now)
  const found = await lockDeployment(tx, tenantId, { name })
  if (!found) throw new Error(`the deployment ${name} was there a moment ago`)
  // A deployment that is named on purpose gives the arguments where the request has none.
  const inherits = request.deployment !== undefined && Object.keys(engineArgs).length === 0
  if (found.model === model && (inherits || sameArguments(found.engineArgs, engineArgs))) return found
  const cause = `The deployment "${name}" runs ${found.model} with ${canonicalJson(found.engineArgs)}.`
  const remedy = 'Name another deployment for this launch, or launch what this one runs.'
  throw new Failure('name_taken', cause, { remedy }, { deploymentId: found.id })
}

const sameArguments = (a: EngineArguments, b: EngineArguments): boolean => canonicalJson(a) === canonicalJson(b)

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
