import { humanRough } from '../../src/core/human-time.ts'
import { type LaunchRequest, launchLimitS } from '../../src/wire/routes.ts'
import type { LaunchDetail } from '../../src/wire/views.ts'

/** A launch once more, with what its failure suggests. */
export interface Again {
  /** What is different from the launch before, in words; empty where the same is asked once more. */
  readonly changes: readonly string[]
  readonly request: LaunchRequest
}

// A launch that fails with one of these ran out of time, and more of it is what may help.
const outOfTime: ReadonlySet<string> = new Set([
  'launch_timeout',
  'load_timeout',
  'install_timeout',
  'join_token_expired',
])

/** What was asked for, as it was. */
export function askedAs(launch: LaunchDetail): LaunchRequest {
  const { model, deployment, engineArgs, wish, timeLimitS, concurrency } = launch
  return {
    model,
    deployment,
    engineArgs,
    wish,
    ...(timeLimitS === null ? {} : { timeLimitS }),
    ...(concurrency === null ? {} : { concurrency }),
    dryRun: false,
  }
}

/**
 * What to ask after a failure: the argument that the engine named, more time where it ran out, more places where
 * those that were allowed did not give a machine. What may cost more, the highest price and the GPUs, stays as it was.
 */
export function againAfter(launch: LaunchDetail): Again {
  const { failure } = launch
  const same = askedAs(launch)
  if (failure?.suggestion) return withArgument(same, failure.suggestion)
  if (failure && outOfTime.has(failure.code)) return withMoreTime(launch, same)
  if (failure?.retry === 'elsewhere' || failure?.retry === 'not_here') return withMorePlaces(same)
  return { changes: [], request: same }
}

type Suggestion = NonNullable<NonNullable<LaunchDetail['failure']>['suggestion']>

/** In a deployment of its own: one deployment runs all its replicas with the same arguments. */
function withArgument(same: LaunchRequest, { argument, value }: Suggestion): Again {
  const end = `-${argument}-${value}`.toLowerCase().replace(/[^a-z0-9._-]+/g, '-')
  const deployment = `${same.deployment?.slice(0, 63 - end.length)}${end}`
  return {
    changes: [`${argument} ${value}`, `as the deployment ${deployment}`],
    request: { ...same, deployment, engineArgs: { ...same.engineArgs, [argument]: value } },
  }
}

function withMoreTime({ createdAt, deadlineAt }: LaunchDetail, same: LaunchRequest): Again {
  if (deadlineAt === null) return { changes: [], request: same }
  const hadS = Math.ceil((Date.parse(deadlineAt) - Date.parse(createdAt)) / 1_000)
  const timeLimitS = Math.min(launchLimitS.max, 2 * hadS)
  const changes = [`${humanRough(timeLimitS * 1_000)} instead of ${humanRough(hadS * 1_000)}`]
  return { changes, request: { ...same, timeLimitS } }
}

function withMorePlaces(same: LaunchRequest): Again {
  const { wish } = same
  const changes = [
    ...(wish.clouds.length > 0 ? ['in any cloud'] : []),
    ...(wish.regions.length > 0 ? ['in any region'] : []),
    ...(wish.spot === 'only' ? ['on demand too'] : []),
  ]
  const spot = wish.spot === 'only' ? 'first' : wish.spot
  return { changes, request: { ...same, wish: { ...wish, clouds: [], regions: [], spot } } }
}
