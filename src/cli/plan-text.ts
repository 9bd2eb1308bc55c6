import { becomesWords } from '../core/becomes.ts'
import { licenceWords, parameterWords, weightsGib } from '../core/catalog.ts'
import { writtenArguments } from '../core/engine-presets.ts'
import { mayHold } from '../core/fit.ts'
import { humanRough } from '../core/human-time.ts'
import { formatUsd } from '../core/money.ts'
import type { CatalogCard, FitView } from '../wire/catalog.ts'
import type { PlanView, SetupView } from '../wire/plan.ts'
import { ageOf } from './human-time.ts'
import { cloudTroubles, offerWords, standingWords } from './launch-progress.ts'
import { cut, plainLine } from './plain-text.ts'
import { facts, table } from './table.ts'
import type { Look } from './terminal.ts'

type PlannedOffer = PlanView['offers'][number]

const indent = '     '

/** What a launch would do and cost, before money is spent. */
export function planText(plan: PlanView, now: number, look: Look): string {
  const { paint } = look
  const tried = plan.offers.filter(mayHold)
  const refused = plan.offers.slice(tried.length)
  const isTried = tried.length > 0
  const several = plan.replicas > 1 ? ` for all ${plan.replicas}` : ''
  const price = `${formatUsd(plan.totalPerHourMicroUsd)} an hour, ${formatUsd(plan.totalPerMonthMicroUsd)} a month${several}`
  const disk = tried[0]?.fit?.diskGib
  const head = facts(
    [
      ['would launch', plainLine(`${plan.replicas > 1 ? `${plan.replicas} x ` : ''}${plan.model} (${plan.engine})`)],
      ['deployment', plainLine(`${plan.deployment}, ${becomesWords(plan.becomes)}`)],
      ['cost', isTried ? price : null],
      ['time limit', isTried ? limitWords(plan) : null],
      ['queue', plan.queuePlace <= 1 ? 'starts at once' : `place ${plan.queuePlace}`],
      ['disk', disk === undefined ? null : `about ${disk} GiB`],
      [
        'credentials',
        cut(plainLine(plan.clouds.map((cloud) => credentialWords(cloud, now)).join('; ')), look.columns - 14),
      ],
      ['hub token', plan.hubToken === 'set' ? 'set, as the model asks for one' : null],
      ['engine', cut(plainLine(plan.argv.join(' ')), look.columns - 14)],
    ],
    look,
  )
  const offers = tried.map((offer, i) => offerText(offer, String(i + 1), now, look)).join('')
  const others = refused.map((offer) => offerText(offer, '-', now, look)).join('')
  const cannot = others && `${paint.dim('offers that cannot hold the model')}\n${others}`
  const warnings = plan.warnings.map((warning) => `${paint.warn('warning')}: ${plainLine(warning)}\n`).join('')
  const clouds = cloudTroubles(plan.clouds, now, look)
  const order = isTried ? `${paint.dim('offers, in the order they would be tried')}\n${offers}` : ''
  const why = plan.refusals.map((refusal) => refusalText(refusal, look)).join('')
  return `${head}${order}${cannot}${clouds}${warnings}${why}Nothing was started.\n`
}

const refusalText = ({ code, cause, remedy }: PlanView['refusals'][number], { paint }: Look): string =>
  `${paint.bad('would be refused:')} ${plainLine(cause)}\n${paint.bold('what to do:')} ${plainLine(remedy)}\n${paint.dim(`(code ${code})`)}\n`

/** What was answered when the cloud's server was asked last. */
function credentialWords({ cloud, credentials, readAt }: PlanView['clouds'][number], now: number): string {
  const answer = {
    not_needed: 'needs none',
    work: `works as of the last \`sky check\`, asked ${ageOf(readAt, now)} ago`,
    refused: 'REFUSED',
    unknown: 'not known now',
  }
  return `${cloud} ${answer[credentials]}`
}

/** A limit that an operator set holds for everything; the one that follows from the offers, for what is tried. */
const limitWords = ({ timeLimitS, timeLimitCountsWaits }: PlanView): string =>
  `${humanRough(timeLimitS * 1_000)} ${timeLimitCountsWaits ? 'in all, as asked for' : 'of trying; time in queues does not count'}`

function offerText(offer: PlannedOffer, mark: string, now: number, look: Look): string {
  const aMonth = `${formatUsd(offer.pricePerMonthMicroUsd)} a month`
  const lately = standingWords(offer, now)
  const lines = [
    `  ${mark}  ${offerWords(offer)}, ${aMonth}${offer.stale ? `, stale (${ageOf(offer.seenAt, now)})` : ''}`,
    ...(lately ? [`${indent}${lately}`] : []),
    ...setupLines(offer.setups),
    ...readyLines(offer),
    ...(offer.fit ? fitLines(offer.fit, look) : []),
    ...(offer.unchecked ? [`${indent}NOT CHECKED whether it fits: ${plainLine(offer.unchecked)}`] : []),
  ]
  return lines.map((line) => `${cut(line, look.columns)}\n`).join('')
}

/** How the engine gets there, and what the other way would cost. */
function setupLines({ does, instead }: PlannedOffer['setups']): string[] {
  const cost = ({ ms, measured, costMicroUsd }: SetupView) =>
    `about ${humanRough(ms)} (${measured ? 'measured' : 'a guess'}), ${formatUsd(costMicroUsd)}`
  const words = (setup: SetupView) =>
    plainLine(`${setup.way === 'image' ? 'image' : 'installs by recipe'} ${setup.name}: ${cost(setup)}`)
  return [
    ...(does ? [`${indent}${words(does)}`] : []),
    ...(does && instead ? [`${indent}instead, ${words(instead)}`] : []),
  ]
}

const readyLines = ({ readyIn }: PlannedOffer): string[] =>
  readyIn
    ? [
        `${indent}usually serves after ${humanRough(readyIn.ms)}, ${formatUsd(readyIn.costMicroUsd)} before the first token`,
      ]
    : []

function fitLines(fit: FitView, look: Look): string[] {
  const { weightsGib, kvGib, vramGib, gpu, context, maxContext, maxConcurrency, concurrency } = fit
  const split = fit.tensorParallel > 1 ? `, split over ${fit.tensorParallel}` : ''
  const shorter = fit.verdict === 'fits_with_less' && maxContext < context
  const cache =
    fit.verdict === 'fits'
      ? `KV cache ${kvGib} GiB for ${concurrency} x ${context} tokens (room for ${maxConcurrency})`
      : `KV cache ${kvGib} GiB would be needed for ${concurrency} x ${context} tokens`
  const why = [
    ...(fit.cause && !shorter ? [`${indent}cause: ${plainLine(fit.cause)}`] : []),
    ...(fit.remedy && !fit.fits ? [`${indent}remedy: ${plainLine(fit.remedy)}`] : []),
  ]
  // The engine does not run there at all: nothing was counted.
  if (context === 0) return why
  const extra = writtenArguments(fit.arguments)
  return [
    `${indent}${fitBar(fit, look)} ${gpu} ${vramGib} GiB${split}: weights ${weightsGib}`,
    `${indent}${cache}`,
    ...(shorter && fit.fits ? [`${indent}context is cut to ${maxContext} of ${context} tokens`] : []),
    ...(extra.length > 0 && fit.fits ? [`${indent}adds ${plainLine(extra.join(' '))}`] : []),
    ...why,
  ]
}

const barColumns = 24

/** Weights, then what lies beside them, then the cache, in the memory of one GPU; full where they do not fit. */
export function fitBar({ weightsGib, overheadGib, kvGib, vramGib }: FitView, { unicode }: Look): string {
  const [weights, beside, cache, free] = unicode ? ['█', '▓', '▒', '░'] : ['#', '+', '=', '.']
  const cells = (gib: number) => Math.min(barColumns, Math.ceil((barColumns * gib) / vramGib))
  const bar = `${weights?.repeat(cells(weightsGib))}${beside?.repeat(cells(overheadGib))}${cache?.repeat(cells(kvGib))}`
  return `[${bar.slice(0, barColumns).padEnd(barColumns, free)}]`
}

/** What is known about open-weight models, and the memory for one request of the whole context; a star where a figure was not checked. */
export function catalogText(models: readonly CatalogCard[], look: Look): string {
  if (models.length === 0) return 'No model of the catalogue matches.\n'
  const text = table<CatalogCard>(
    [
      { title: 'MODEL', cell: ({ id, uncertain }) => `${id}${uncertain.length > 0 ? ' *' : ''}`, gives: true },
      { title: 'SIZE', cell: parameterWords, right: true },
      { title: 'WEIGHTS', cell: (model) => `${weightsGib(model)} GiB ${model.weights.dtype}`, right: true },
      { title: 'NEEDS', cell: ({ memory }) => `${memory.totalGib} GiB`, right: true },
      { title: 'CONTEXT', cell: ({ contextTokens }) => String(contextTokens), right: true },
      { title: 'KIND', cell: ({ kind }) => kind },
      { title: 'LICENCE', cell: licenceWords, gives: true },
    ],
    models,
    look,
  )
  const doubt = models.some(({ uncertain }) => uncertain.length > 0)
  return doubt ? `${text}* not every figure was checked; --json names them\n` : text
}
