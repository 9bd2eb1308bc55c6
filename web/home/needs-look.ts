import { humanRough } from '../../src/core/human-time.ts'
import type { CloudOffersView, DeploymentView, LaunchView, StatusView } from '../../src/wire/views.ts'
import type { MarkShape } from '../parts/mark.tsx'
import { markOfDeployment, plain } from '../words/states.ts'

/** Something that a person should see to: what it is about, what is so, and where to go. */
export interface NeedsLook {
  readonly key: string
  readonly shape: MarkShape
  readonly subject: string
  readonly text: string
  readonly to: string
}

export interface Scene {
  readonly status: StatusView
  readonly deployments: readonly DeploymentView[]
  /** Launches that failed, newest first. */
  readonly failed: readonly LaunchView[]
  readonly clouds: readonly CloudOffersView[]
  /** Epoch ms by the server's clock. */
  readonly now: number
}

// A launch that failed yesterday was seen to, or nobody will.
const failedShownMs = 12 * 3_600_000

/** What needs a look now besides the nodes, the worst first. */
export function needsLook({ status, deployments, failed, clouds, now }: Scene): readonly NeedsLook[] {
  const all = [
    ...status.orphans.map(orphan(status.sweepArmed)),
    ...deployments.flatMap(ofDeployment),
    ...failed.filter(({ endedAt }) => endedAt && now - Date.parse(endedAt) < failedShownMs).map(ofLaunch),
    ...status.silentClouds.map(({ name, problem }) =>
      bad(`sight-${name}`, name, `does not say which machines run: ${problem}`),
    ),
    ...clouds.flatMap(ofOffers(now)),
    ...status.loops.flatMap(ofLoop(now)),
    ...ofGateways(status.gateways),
  ]
  return all.sort((a, b) => Number(b.shape === 'bad') - Number(a.shape === 'bad'))
}

const bad = (key: string, subject: string, text: string, to = '/settings'): NeedsLook => ({
  key,
  shape: 'bad',
  subject,
  text,
  to,
})

const doubtful = (key: string, subject: string, text: string, to = '/settings'): NeedsLook => ({
  ...bad(key, subject, text, to),
  shape: 'doubtful',
})

const orphan =
  (armed: boolean) =>
  ({ name, cloud, releasing }: StatusView['orphans'][number]): NeedsLook => {
    const then = releasing
      ? 'it is being released'
      : armed
        ? 'it will be released'
        : 'it is left alone until the sweep is armed'
    return bad(`orphan-${name}`, name, `is a machine at ${cloud} that no row knows; ${then}`)
  }

function ofDeployment(deployment: DeploymentView): NeedsLook[] {
  const { id, name, stopped, paused, wanted, ready } = deployment
  const to = `/deployments/${id}`
  if (stopped !== null) return [bad(`deployment-${id}`, name, `stopped refilling by itself: ${stopped}`, to)]
  if (paused) return [doubtful(`deployment-${id}`, name, `is paused with ${ready} of ${wanted} ready`, to)]
  if (markOfDeployment(deployment).word !== 'too few') return []
  const few = `has ${ready} of ${wanted} ready, and none is starting`
  return [ready === 0 ? bad(`deployment-${id}`, name, few, to) : doubtful(`deployment-${id}`, name, few, to)]
}

const ofLaunch = ({ id, model, state, failure }: LaunchView): NeedsLook =>
  doubtful(
    `launch-${id}`,
    `Launch of ${model}`,
    `${plain(state)}: ${failure?.cause ?? 'no cause was told'}`,
    `/launches/${id}`,
  )

const ofOffers =
  (now: number) =>
  ({ cloud, readAt, failure }: CloudOffersView): NeedsLook[] => {
    if (!failure) return []
    const since =
      readAt === null ? 'its offers were never read' : `its offers are from ${humanRough(now - Date.parse(readAt))} ago`
    return [
      doubtful(`offers-${cloud}`, cloud, `does not say what it offers (${since}): ${failure.cause} ${failure.remedy}`),
    ]
  }

const ofLoop =
  (now: number) =>
  ({ loop, server, error, late, lastPassAt }: StatusView['loops'][number]): NeedsLook[] => {
    const key = `loop-${loop}-${server}`
    if (error !== null) return [bad(key, `The ${loop} loop`, `fails: ${error}`)]
    if (!late) return []
    const last =
      lastPassAt === null ? 'it never ran' : `its last pass was ${humanRough(now - Date.parse(lastPassAt))} ago`
    return [doubtful(key, `The ${loop} loop`, `is late: ${last}`)]
  }

function ofGateways(gateways: StatusView['gateways']): NeedsLook[] {
  if (gateways.length === 0) return [bad('gateways', 'No gateway', 'reports, so no request is routed')]
  return gateways
    .filter(({ tableCurrent }) => !tableCurrent)
    .map(({ id, url }) => doubtful(`gateway-${id}`, url, 'routes by a table that is not the newest'))
}
