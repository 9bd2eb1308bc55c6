import { decideDeployment } from '../core/decide-deployment.ts'
import { formatUsd } from '../core/money.ts'
import type { DeploymentRow } from '../store/read-deployments.ts'
import type { AuditLine, KeyRow, OperatorRow } from '../store/read-people.ts'
import type { LineRow } from '../store/read-told.ts'
import type { UnknownFailureRow } from '../store/read-unknown.ts'
import type { DeploymentView, KeyView, LogLine, UnknownFailureView } from '../wire/views.ts'
import { costAt, iso, maybeIso } from './present-time.ts'

export function presentDeployment(
  row: DeploymentRow,
  { now, stopAfterFailures }: { now: number; stopAfterFailures: number },
): DeploymentView {
  const { id, name, model, engine, source, wanted, paused, failuresInARow, ready, starting } = row
  const { stopped } = decideDeployment(
    { wanted, paused, failuresInARow, stopAfterFailures, lastFailureAt: null, holders: [], returned: [], doubted: [] },
    now,
  )
  const spent = formatUsd(costAt(row.failures, now))
  const evidence =
    row.failedLaunchId === null ? '' : `Look at the evidence with \`flightdeck show ${row.failedLaunchId}\`, `
  const why = `${failuresInARow} failures in a row, ${spent} spent on them. ${evidence}then \`flightdeck resume ${name}\`.`
  return {
    id,
    name,
    model,
    engine,
    source,
    wanted,
    ready,
    starting,
    paused,
    failuresInARow,
    stopped: stopped ? why : null,
    spentMicroUsd: costAt(row, now),
    createdAt: iso(row.createdAt),
    ...presentAsked(row),
  }
}

/** What was asked for, by a launch or for each launch of a deployment. */
export function presentAsked({ wish, engineArgs, timeLimitS, concurrency }: Asked) {
  const { clouds, regions, gpus, ...rest } = wish
  return {
    wish: { clouds: [...clouds], regions: [...regions], gpus: [...gpus], ...rest },
    engineArgs,
    timeLimitS,
    concurrency,
  }
}

type Asked = Pick<DeploymentRow, 'wish' | 'engineArgs' | 'timeLimitS' | 'concurrency'>

export function presentKey({ id, name, last4, models, createdBy, createdAt, revokedAt }: KeyRow): KeyView {
  return { id, name, last4, models, createdBy, createdAt: iso(createdAt), revokedAt: maybeIso(revokedAt) }
}

export function presentOperator({ id, name, role, last4, createdAt, disabledAt }: OperatorRow) {
  return { id, name, role, last4, createdAt: iso(createdAt), disabledAt: maybeIso(disabledAt) }
}

export function presentAudit({ id, at, who, action, target, detail, address, hash }: AuditLine) {
  return { id, at: iso(at), who, action, target, detail, address, hash }
}

export function presentLine({ n, at, source, text }: LineRow): LogLine {
  return { n, at: iso(at), source, text }
}

export const presentSecret = ({ name, createdAt }: { name: string; createdAt: number }) => ({
  name,
  createdAt: iso(createdAt),
})

/** Kept as "type: text", because that is how a failure shows where it came from. */
export function presentUnknownFailure({ evidence, firstAt, lastAt, ...row }: UnknownFailureRow): UnknownFailureView {
  const [, type = '', message = ''] = /^(\w*): (.*)$/s.exec(evidence) ?? ['', '', evidence]
  return { ...row, type, message, firstAt: iso(firstAt), lastAt: iso(lastAt) }
}
