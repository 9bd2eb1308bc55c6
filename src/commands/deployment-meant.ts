import { deploymentNameOf } from '../core/deployment-name.ts'
import { type EngineArguments, writtenArguments } from '../core/engine-presets.ts'
import { type FailureRecord, failureRecord } from '../core/failure.ts'
import { humanRough } from '../core/human-time.ts'
import { anyWish } from '../core/offer.ts'
import { canonicalJson } from '../lib/canonical.ts'
import type { DeploymentRow } from '../store/deployment-requests.ts'
import type { LaunchRequest } from '../wire/routes.ts'

type Asked = Pick<LaunchRequest, 'deployment' | 'model' | 'own' | 'engineArgs' | 'wish' | 'timeLimitS'>

/** The name of the deployment that gets what is launched. */
export const deploymentMeant = ({ deployment, model }: Pick<Asked, 'deployment' | 'model'>): string =>
  deployment ?? deploymentNameOf(model)

/** One that is named on purpose gives the arguments where the request has none. */
const inherits = ({ deployment, engineArgs }: Asked): boolean =>
  deployment !== undefined && Object.keys(engineArgs).length === 0

export const argumentsMeant = (asked: Asked, found: DeploymentRow | null): EngineArguments =>
  found?.model === asked.model && inherits(asked) ? found.engineArgs : asked.engineArgs

const isSame = (a: unknown, b: unknown): boolean => canonicalJson(a) === canonicalJson(b)

/** Why the deployment that has the name does not run what is asked for, or null. */
export function whyTaken(found: DeploymentRow, asked: Asked): FailureRecord | null {
  const runsIt = found.model === asked.model && found.engine === (asked.own?.engine ?? found.engine)
  if (runsIt && (inherits(asked) || isSame(found.engineArgs, asked.engineArgs))) return null
  const given = writtenArguments(found.engineArgs).join(' ') || 'no arguments of its own'
  const cause = `The deployment "${found.name}" runs ${found.model} on ${found.engine} with ${given}.`
  const remedy = 'Name another deployment for this launch, or launch what this one runs.'
  return failureRecord('name_taken', cause, { remedy })
}

/** Why several more replicas of it cannot be had as asked: all that it launches by itself is launched as it says. */
export function whyNotExtended({ name, wish, timeLimitS }: DeploymentRow, asked: Asked): FailureRecord | null {
  const refused = (cause: string, what: string) => {
    const remedy = `Leave ${what} open, and it is extended as it is; or name another deployment; or launch one replica, which may differ.`
    return failureRecord('name_taken', `The deployment "${name}" has ${cause}.`, { remedy })
  }
  if (!isSame(asked.wish, anyWish) && !isSame(asked.wish, wish))
    return refused('a choice of machines of its own, and this is another', 'the choice of machines')
  if (asked.timeLimitS === undefined || asked.timeLimitS === timeLimitS) return null
  const own = timeLimitS === null ? 'no time limit' : `a time limit of ${timeWords(timeLimitS)}`
  return refused(`${own} for its launches, and this asks for ${timeWords(asked.timeLimitS)}`, 'the time limit')
}

const timeWords = (seconds: number): string => humanRough(seconds * 1_000)

/** Why replicas that are wanted of it do not come yet. */
export function warningsOfDeployment(
  { name, paused, failuresInARow }: DeploymentRow,
  stopAfterFailures: number,
): string[] {
  const then = `its replicas are launched once it goes on (\`flightdeck resume ${name}\`).`
  if (paused) return [`The deployment "${name}" is paused: ${then}`]
  return failuresInARow >= stopAfterFailures
    ? [`The deployment "${name}" stopped after ${failuresInARow} failures in a row: ${then}`]
    : []
}
