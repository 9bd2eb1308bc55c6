import { humanRough } from '../core/human-time.ts'
import { formatUsd } from '../core/money.ts'
import type { ModelView } from '../wire/catalog.ts'
import type { SpendView } from '../wire/spend-view.ts'
import type {
  AuditView,
  DeploymentView,
  KeyView,
  OfferNowView,
  OffersView,
  OperatorView,
  StatusView,
  UnknownFailureView,
} from '../wire/views.ts'
import { ageOf } from './human-time.ts'
import { cloudTroubles, standingWords } from './launch-progress.ts'
import { evidenceLines } from './launch-text.ts'
import { plainLine } from './plain-text.ts'
import { facts, table } from './table.ts'
import type { Look } from './terminal.ts'

export function statusText(status: StatusView, now: number, look: Look): string {
  const { paint } = look
  const nodes = Object.entries(status.nodes).filter(([, count]) => count > 0)
  const head = facts(
    [
      ['install', `${status.install}, version ${status.version}`],
      ['automation', status.paused ? paint.warn(plainLine(`paused: ${status.pausedReason || 'by hand'}`)) : 'running'],
      ['guard', guardWords(status, now, look)],
      ['nodes', nodes.map(([state, count]) => `${count} ${state}`).join(', ') || 'none'],
      ['money', `${formatUsd(status.burnPerHourMicroUsd)} an hour now`],
      [
        'database',
        `${status.database.kind}, ${status.database.poolSize} connections, ${status.database.waitingNow} waiting`,
      ],
    ],
    look,
  )
  const gateways = status.gateways.map(({ url, seenAt, tableCurrent }) =>
    plainLine(`  ${url}  seen ${ageOf(seenAt, now)} ago${tableCurrent ? '' : ', routing table is behind'}`),
  )
  const parts = [
    head,
    silentText(status, now, look),
    `${paint.dim('gateways')}\n${gateways.join('\n') || '  none'}\n`,
    orphansText(status, now, look),
    loopsText(status, now, look),
  ]
  return parts.filter(Boolean).join('\n')
}

/** Since when the guard holds, or when it did last; null where it never has. */
function guardWords({ guard, guardHolds: [last] }: StatusView, now: number, { paint }: Look): string | null {
  const since = last?.until === null ? ` For ${ageOf(last.since, now)}.` : ''
  if (guard !== null) return paint.bad(plainLine(guard + since))
  if (!last || last.until === null) return null
  const lastedMs = Date.parse(last.until) - Date.parse(last.since)
  return plainLine(`held ${ageOf(last.until, now)} ago for ${humanRough(lastedMs)}: ${last.reason}`)
}

/** Clouds that say nothing of their machines; nothing where all answer. */
function silentText({ silentClouds }: StatusView, now: number, { paint }: Look): string {
  if (silentClouds.length === 0) return ''
  const lines = silentClouds.map(({ name, lookedAt, problem }) =>
    plainLine(
      `  ${name}  ${lookedAt === null ? 'never answered' : `answered ${ageOf(lookedAt, now)} ago`}: ${problem}`,
    ),
  )
  const next = '\n  Nothing is released for it; machines are neither launched nor seen to end there until it answers.'
  return `${paint.bad('clouds that do not answer')}\n${lines.join('\n')}${next}\n`
}

/** Machines that nobody knows, with what they cost; nothing where there are none. */
function orphansText({ orphans, sweepArmed }: StatusView, now: number, { paint }: Look): string {
  if (orphans.length === 0) return ''
  const lines = orphans.map(({ name, firstSeenAt, pricePerHourMicroUsd, releasing }) => {
    const price = pricePerHourMicroUsd === null ? 'price unknown' : `${formatUsd(pricePerHourMicroUsd)} an hour`
    return plainLine(
      `  ${name}  seen for ${ageOf(firstSeenAt, now)}, ${price}${releasing ? ', its end is asked for' : ''}`,
    )
  })
  const next = sweepArmed
    ? ''
    : '\n  They are only shown: look at them, then `flightdeck sweep --arm` lets the sweep release them.'
  return `${paint.bad('machines that no row knows')}\n${lines.join('\n')}${next}\n`
}

function loopsText({ loops }: StatusView, now: number, look: Look): string {
  return table<StatusView['loops'][number]>(
    [
      { title: 'LOOP', cell: ({ loop }) => loop },
      { title: 'LAST PASS', cell: ({ lastPassAt }) => ageOf(lastPassAt, now), right: true },
      { title: 'TOOK', cell: ({ tookMs }) => (tookMs === null ? '-' : `${Math.round(tookMs)} ms`), right: true },
      { title: 'MOVED', cell: ({ moved }) => (moved === null ? '-' : String(moved)), right: true },
      {
        title: 'STATE',
        cell: ({ late, paused, error, lastPassAt }) =>
          error ?? (paused ? 'paused' : late ? 'late' : lastPassAt === null ? 'waiting' : 'ok'),
        paint: ({ late, paused, error }) =>
          error ? look.paint.bad : late || paused ? look.paint.warn : look.paint.good,
        gives: true,
      },
    ],
    loops,
    look,
  )
}

export function modelsText(models: readonly ModelView[], look: Look): string {
  if (models.length === 0) return 'No models are configured; add some under "models" in the configuration file.\n'
  return table<ModelView>(
    [
      { title: 'MODEL', cell: ({ name }) => name },
      { title: 'ENGINE', cell: ({ engine }) => engine },
      { title: 'READY', cell: ({ readyNodes }) => String(readyNodes), right: true },
      { title: 'SOURCE', cell: ({ source }) => source, gives: true },
      { title: 'DESCRIPTION', cell: ({ description }) => description, gives: true },
    ],
    models,
    look,
  )
}

export function offersText({ items, clouds }: OffersView, now: number, look: Look): string {
  const troubles = cloudTroubles(clouds, now, look)
  if (items.length === 0) return `No cloud offers anything at the moment.\n${troubles}`
  const text = table<OfferNowView>(
    [
      { title: 'CLOUD', cell: ({ cloud }) => cloud },
      { title: 'REGION', cell: ({ region }) => region, gives: true },
      { title: 'GPU', cell: ({ gpu, gpuCount }) => (gpu === null ? 'none' : `${gpu} x${gpuCount}`), gives: true },
      { title: 'MEMORY', cell: ({ vramGib }) => (vramGib === 0 ? '-' : `${vramGib} GiB`), right: true },
      { title: 'KIND', cell: ({ spot }) => (spot ? 'spot' : 'on demand') },
      { title: 'PER HOUR', cell: ({ pricePerHourMicroUsd }) => formatUsd(pricePerHourMicroUsd), right: true },
      { title: 'FREE', cell: ({ available }) => (available === null ? '?' : String(available)), right: true },
      {
        title: 'SEEN',
        cell: ({ seenAt, stale }) => `${ageOf(seenAt, now)}${stale ? ' stale' : ''}`,
        paint: ({ stale }) => (stale ? look.paint.warn : undefined),
        right: true,
      },
      { title: 'LATELY', cell: (offer) => standingWords(offer, now), gives: true },
    ],
    items,
    look,
  )
  return `${text}${troubles}`
}

/** Each text as it came: a rule is to be made of it. */
export function unknownText(failures: readonly UnknownFailureView[], now: number, look: Look): string {
  if (failures.length === 0) return 'Clouds have said nothing that nobody has seen before.\n'
  const parts = failures.map(({ cloud, type, message, times, lastAt, launchId }) => {
    const head = look.paint.bold(`${cloud}  ${times}x, last ${ageOf(lastAt, now)} ago in ${launchId}`)
    return `${head}\n${evidenceLines(`${type}: ${message}`, look).join('')}`
  })
  return parts.join('\n')
}

export function deploymentsText(deployments: readonly DeploymentView[], look: Look): string {
  if (deployments.length === 0) return 'No deployments yet. Make one with `flightdeck deploy MODEL --replicas 1`.\n'
  return table<DeploymentView>(
    [
      { title: 'DEPLOYMENT', cell: ({ name }) => name },
      { title: 'MODEL', cell: ({ model }) => model, gives: true },
      { title: 'ENGINE', cell: ({ engine }) => engine },
      { title: 'READY', cell: ({ ready, wanted }) => `${ready}/${wanted}`, right: true },
      { title: 'STARTING', cell: ({ starting }) => String(starting), right: true },
      { title: 'SPENT', cell: ({ spentMicroUsd }) => formatUsd(spentMicroUsd), right: true },
      {
        title: 'STATE',
        cell: ({ paused, stopped }) => stopped ?? (paused ? 'paused' : 'running'),
        paint: ({ paused, stopped }) => (stopped ? look.paint.bad : paused ? look.paint.warn : undefined),
        gives: true,
      },
    ],
    deployments,
    look,
  )
}

export function keysText(keys: readonly KeyView[], now: number, look: Look): string {
  if (keys.length === 0) return 'No API keys yet. Make one with `flightdeck keys create NAME`.\n'
  return table<KeyView>(
    [
      { title: 'KEY', cell: ({ id }) => id },
      { title: 'NAME', cell: ({ name }) => name, gives: true },
      { title: 'ENDS WITH', cell: ({ last4 }) => last4 },
      { title: 'MODELS', cell: ({ models }) => models?.join(', ') ?? 'all', gives: true },
      { title: 'MADE BY', cell: ({ createdBy }) => createdBy, gives: true },
      { title: 'AGE', cell: ({ createdAt }) => ageOf(createdAt, now), right: true },
      { title: 'STATE', cell: ({ revokedAt }) => (revokedAt === null ? 'good' : 'revoked') },
    ],
    keys,
    look,
  )
}

export function operatorsText(operators: readonly OperatorView[], now: number, look: Look): string {
  return table<OperatorView>(
    [
      { title: 'OPERATOR', cell: ({ id }) => id },
      { title: 'NAME', cell: ({ name }) => name, gives: true },
      { title: 'ROLE', cell: ({ role }) => role },
      { title: 'ENDS WITH', cell: ({ last4 }) => last4 },
      { title: 'AGE', cell: ({ createdAt }) => ageOf(createdAt, now), right: true },
      { title: 'STATE', cell: ({ disabledAt }) => (disabledAt === null ? 'good' : 'disabled') },
    ],
    operators,
    look,
  )
}

export function auditText(lines: readonly AuditView[], now: number, look: Look): string {
  return table<AuditView>(
    [
      { title: 'AGO', cell: ({ at }) => ageOf(at, now), right: true },
      { title: 'WHO', cell: ({ who }) => who, gives: true },
      { title: 'DID', cell: ({ action }) => action },
      { title: 'TO', cell: ({ target }) => target, gives: true },
      { title: 'DETAIL', cell: ({ detail }) => JSON.stringify(detail), gives: true },
    ],
    lines,
    look,
  )
}

const usdOrNone = (microUsd: number | null): string => (microUsd === null ? 'no tokens yet' : formatUsd(microUsd))

export function spendText(spend: SpendView, look: Look): string {
  const head = facts(
    [
      ['from', spend.from],
      ['to', spend.to],
      ['total', look.paint.bold(formatUsd(spend.totalMicroUsd))],
      ...Object.entries(spend.byDuty).map(([duty, microUsd]) => [`  ${duty}`, formatUsd(microUsd)] as const),
      ['of it failed launches', formatUsd(spend.failedMicroUsd)],
      ['of it idle', formatUsd(spend.idleMicroUsd)],
      ['now', `${formatUsd(spend.burnPerHourMicroUsd)} an hour`],
      ['tokens', `${spend.promptTokens} read, ${spend.completionTokens} written`],
      ['per million tokens', usdOrNone(spend.perMillionTokensMicroUsd)],
      ['  without idle time', usdOrNone(spend.perMillionTokensBusyMicroUsd)],
    ],
    look,
  )
  if (spend.byDeployment.length === 0) return head
  return `${head}\n${table<SpendView['byDeployment'][number]>(
    [
      { title: 'DEPLOYMENT', cell: ({ deployment }) => deployment, gives: true },
      { title: 'COST', cell: ({ totalMicroUsd }) => formatUsd(totalMicroUsd), right: true },
    ],
    spend.byDeployment,
    look,
  )}`
}
