import { writtenArguments } from '../../src/core/engine-presets.ts'
import type { PlanView } from '../../src/wire/plan.ts'
import { type DeploymentRequest, type LaunchRequest, routes, type ScaleRequest } from '../../src/wire/routes.ts'
import { shellWord } from '../words/shell.ts'

/** What is asked of the API: a launch of one node, a deployment of several, or more replicas of one that is there. */
export type Call =
  | { readonly act: 'createLaunch'; readonly body: LaunchRequest }
  | { readonly act: 'createDeployment'; readonly body: DeploymentRequest }
  | { readonly act: 'scaleDeployment'; readonly id: string; readonly deployment: string; readonly body: ScaleRequest }

/** One replica is a launch; several are a deployment, which keeps their number: a new one, or the one that is there. */
export function callOf(request: LaunchRequest, replicas: number, plan: Pick<PlanView, 'deployment' | 'becomes'>): Call {
  if (replicas === 1) return { act: 'createLaunch', body: request }
  const { deployment, becomes } = plan
  if (becomes && becomes.id !== null) {
    const { id, wantedFrom: from, wantedTo: wanted } = becomes
    return { act: 'scaleDeployment', id, deployment, body: { wanted, from } }
  }
  const { dryRun: _, deployment: __, ...asked } = request
  return { act: 'createDeployment', body: { name: deployment, ...asked, wanted: replicas } }
}

/** The call as a command of `flightdeck`. */
export function commandOf(call: Call): string {
  const words =
    call.act === 'scaleDeployment' ? ['scale', call.deployment, String(call.body.wanted)] : askingWords(call)
  return ['flightdeck', ...words].map(shellWord).join(' ')
}

function askingWords({ act, body }: Exclude<Call, { act: 'scaleDeployment' }>): string[] {
  const { model, own, wish, concurrency, timeLimitS, engineArgs } = body
  const each = (flag: string, values: readonly string[]) => values.flatMap((value) => [flag, value])
  return [
    ...(act === 'createLaunch' ? ['launch', model] : ['deploy', model]),
    ...option('--source', own?.source),
    ...option('--engine', own?.engine),
    ...(act === 'createLaunch'
      ? option('--deployment', body.deployment)
      : ['--replicas', String(body.wanted), '--name', body.name]),
    ...option('--concurrency', concurrency),
    ...option('--time-limit', timeLimitS === undefined ? undefined : `${timeLimitS}s`),
    ...each('--gpu', wish.gpus),
    ...each('--cloud', wish.clouds),
    ...each('--region', wish.regions),
    ...option('--gpus', wish.gpuCount),
    ...option('--spot', wish.spot === 'allow' ? undefined : wish.spot),
    ...option('--max-price', wish.maxPricePerHourMicroUsd === null ? null : wish.maxPricePerHourMicroUsd / 1_000_000),
    ...each('--arg', writtenArguments(engineArgs)),
  ]
}

const option = (flag: string, value: string | number | null | undefined): string[] =>
  value === undefined || value === null ? [] : [flag, String(value)]

/** The call as curl makes it. The token stays in the environment of the shell. */
export function curlOf(call: Call, origin: string): string {
  const path = routes[call.act].path.replace(':id', 'id' in call ? call.id : '')
  return [
    `curl ${shellWord(origin + path)}`,
    '-H "authorization: Bearer $FLIGHTDECK_TOKEN"',
    "-H 'content-type: application/json'",
    `-d ${shellWord(JSON.stringify(withoutDefaults(call.body)))}`,
  ].join(' \\\n  ')
}

/** What says no more than its absence is left out. */
function withoutDefaults(body: Call['body']): Record<string, unknown> {
  const says = ([, value]: [string, unknown]) =>
    !(value === null || value === undefined || value === false || value === 'allow' || isEmpty(value))
  const told = (fields: object) => Object.fromEntries(Object.entries(fields).filter(says))
  return told('wish' in body ? { ...body, wish: told(body.wish) } : body)
}

const isEmpty = (value: unknown): boolean => typeof value === 'object' && Object.keys(value ?? {}).length === 0
