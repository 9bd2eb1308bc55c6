import type { Becomes } from '../core/becomes.ts'
import type { HubToken } from '../core/catalog.ts'
import { engineCommand } from '../core/engine-command.ts'
import type { EngineName } from '../core/engine-presets.ts'
import type { FailureRecord } from '../core/failure.ts'
import { mayHold } from '../core/fit.ts'
import { launchTime, warningsOfTime } from '../core/launch-time.ts'
import { pricesOf } from '../core/money.ts'
import { type OfferRead, type Wish, wishesCloud } from '../core/offer.ts'
import { type FittedOffer, warningsOf } from '../core/preflight.ts'
import { type DeploymentRow, deploymentNamed } from '../store/deployment-requests.ts'
import { queueLength } from '../store/launch-requests.ts'
import { loadOfferReads } from '../store/offers.ts'
import type { LaunchRequest } from '../wire/routes.ts'
import type { Actor, CommandDeps } from './context.ts'
import { argumentsMeant, deploymentMeant, warningsOfDeployment, whyNotExtended, whyTaken } from './deployment-meant.ts'
import { ownModelOf, whyOtherSource } from './own-model.ts'
import { check } from './preflight.ts'

/** What a launch would do and cost. Offers are in the order of trying; last come those that cannot hold the model. */
export interface Plan {
  /** As it would be launched. */
  readonly wish: Wish
  readonly replicas: number
  readonly model: string
  readonly engine: EngineName
  readonly argv: string[]
  readonly deployment: string
  /** What becomes of the deployment; null: it does not take this, and `refusals` says why. */
  readonly becomes: Becomes | null
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

type Asked = Omit<LaunchRequest, 'dryRun'>

/**
 * What would happen, before money is spent, also where it would be that a launch is refused. One replica is a launch;
 * several are a deployment that is made, or one that wants more and launches them as it says.
 * @throws Failure `unknown_model`, `unknown_engine`, `forbidden_argument` or `malformed_argument`: there is nothing to plan.
 */
export async function planLaunch(deps: CommandDeps, actor: Actor, asked: Asked, replicas = 1): Promise<Plan> {
  const { store, settings } = deps
  const deployment = deploymentMeant(asked)
  const found = await deploymentNamed(store.db, actor.tenantId, deployment)
  const engineArgs = argumentsMeant(asked, found)
  // What is wrong with the request is told before what is wrong with the offers.
  const own = await ownModelOf(deps, actor, asked)
  engineCommand(settings, asked.model, engineArgs, null, own)
  const taken = (await whyOtherSource(store.db, { model: asked.model, own })) ?? whyRefused(found, asked, replicas)
  const extended = taken === null && replicas > 1 ? found : null
  const { wish, timeLimitS } = extended ?? asked
  const { offers, refusals, hubToken } = await check(deps, actor, { ...asked, engineArgs, own, wish })
  const command = engineCommand(settings, asked.model, engineArgs, offers[0] ?? null, own)
  const tried = offers.filter(mayHold)
  const time = launchTime(settings, timeLimitS ?? undefined, tried)
  const wantedFrom = found?.wanted ?? 0
  return {
    wish,
    replicas,
    model: asked.model,
    engine: command.engine,
    argv: command.argv,
    deployment,
    becomes: taken ? null : { id: found?.id ?? null, wantedFrom, wantedTo: wantedFrom + replicas },
    offers,
    refusals: taken ? [taken, ...refusals] : refusals,
    hubToken,
    clouds: (await loadOfferReads(store.db)).filter(({ cloud }) => wishesCloud(wish, cloud)),
    ...pricesOf(tried[0]?.pricePerHourMicroUsd ?? 0, replicas),
    timeLimitS: Math.round(time.limitMs / 1_000),
    timeLimitCountsWaits: time.waitsCount,
    queuePlace: (await queueLength(store.db)) + 1,
    warnings: [
      ...(extended ? warningsOfDeployment(extended, settings.stopAfterFailures) : []),
      ...warningsOfTime(time, tried),
      ...warningsOf(settings, tried),
    ],
  }
}

function whyRefused(found: DeploymentRow | null, asked: Asked, replicas: number): FailureRecord | null {
  return found && (whyTaken(found, asked) ?? (replicas > 1 ? whyNotExtended(found, asked) : null))
}
