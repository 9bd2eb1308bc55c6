import { writtenArguments } from '../../src/core/engine-presets.ts'
import type { LaunchRequest } from '../../src/wire/routes.ts'
import { shellWord } from '../words/shell.ts'

/** What is asked of the API: a launch of one node, or a deployment of several. */
export type Call =
  | { readonly path: '/api/launches'; readonly body: LaunchRequest }
  | { readonly path: '/api/deployments'; readonly body: DeploymentBody }

export type DeploymentBody = Pick<LaunchRequest, 'model' | 'own' | 'engineArgs' | 'wish'> & {
  readonly name: string
  readonly wanted: number
}

/** One replica is a launch; several are a deployment, which keeps their number. `name`: of the deployment where none was given. */
export function callOf(request: LaunchRequest, replicas: number, name: string): Call {
  if (replicas === 1) return { path: '/api/launches', body: request }
  const { model, own, engineArgs, wish, deployment } = request
  const asked = { model, ...(own ? { own } : {}), engineArgs, wish }
  return { path: '/api/deployments', body: { name: deployment ?? name, ...asked, wanted: replicas } }
}

/** The call as a command of `flightdeck`. */
export function commandOf({ path, body }: Call): string {
  const { wish } = body
  const each = (flag: string, values: readonly string[]) => values.flatMap((value) => [flag, value])
  const only =
    path === '/api/launches'
      ? [
          ...option('--deployment', body.deployment),
          ...option('--concurrency', body.concurrency),
          ...option('--time-limit', body.timeLimitS === undefined ? undefined : `${body.timeLimitS}s`),
        ]
      : ['--replicas', String(body.wanted), '--name', body.name]
  const words = [
    'flightdeck',
    path === '/api/launches' ? 'launch' : 'deploy',
    body.model,
    ...option('--source', body.own?.source),
    ...option('--engine', body.own?.engine),
    ...only,
    ...each('--gpu', wish.gpus),
    ...each('--cloud', wish.clouds),
    ...each('--region', wish.regions),
    ...option('--gpus', wish.gpuCount),
    ...option('--spot', wish.spot === 'allow' ? undefined : wish.spot),
    ...option('--max-price', wish.maxPricePerHourMicroUsd === null ? null : wish.maxPricePerHourMicroUsd / 1_000_000),
    ...each('--arg', writtenArguments(body.engineArgs)),
  ]
  return words.map(shellWord).join(' ')
}

const option = (flag: string, value: string | number | null | undefined): string[] =>
  value === undefined || value === null ? [] : [flag, String(value)]

/** The call as curl makes it. The token stays in the environment of the shell. */
export function curlOf({ path, body }: Call, origin: string): string {
  return [
    `curl ${shellWord(origin + path)}`,
    '-H "authorization: Bearer $FLIGHTDECK_TOKEN"',
    "-H 'content-type: application/json'",
    `-d ${shellWord(JSON.stringify(withoutDefaults(body)))}`,
  ].join(' \\\n  ')
}

/** What says no more than its absence is left out. */
function withoutDefaults(body: Call['body']): Record<string, unknown> {
  const says = ([, value]: [string, unknown]) =>
    !(value === null || value === undefined || value === false || value === 'allow' || isEmpty(value))
  const wish = Object.fromEntries(Object.entries(body.wish).filter(says))
  return Object.fromEntries(Object.entries({ ...body, wish }).filter(says))
}

const isEmpty = (value: unknown): boolean => typeof value === 'object' && Object.keys(value ?? {}).length === 0
