import { sizeWords } from '../core/human-size.ts'
import { humanMs, humanRough } from '../core/human-time.ts'
import { isLeaving, isOver } from '../core/launch-table.ts'
import { formatUsd } from '../core/money.ts'
import { launchReadyAt, type Phase, phases } from '../core/phases.ts'
import type { CloudOffersView, LaunchDetail, RankedOfferView } from '../wire/views.ts'
import { ageOf, msBetween } from './human-time.ts'
import { cut, padEnd, padStart, plainLine, widthOf } from './plain-text.ts'
import type { Look } from './terminal.ts'

type Attempt = LaunchDetail['attempts'][number]
type PhaseRow = LaunchDetail['phases'][number]
type StepRow = LaunchDetail['steps'][number]
type Offer = Attempt['offer']

export interface ProgressFrame {
  readonly launch: LaunchDetail
  readonly lastLine: string | null
  readonly now: number
  /** What is wrong with the connection to the control plane, if anything. */
  readonly trouble: string | null
}

export const phaseWords = (phase: Phase): string => phase.replaceAll('_', ' ')
const phaseWidth = Math.max(...phases.map((phase) => phase.length))

/** Its place in the queue and why it has to wait there, or before its next attempt; null where nothing holds it up. */
export function queueWords({ queuePlace, waitsFor }: LaunchDetail): string | null {
  if (queuePlace === null) return waitsFor && plainLine(waitsFor)
  return `place ${queuePlace}${waitsFor ? `: ${plainLine(waitsFor)}` : ''}`
}

/** Where and for how much: `aws us-east-1 T4 x2 (g4dn.12xlarge), spot, $2.4900/h`. */
export function offerWords(offer: Offer): string {
  const gpu = offer.gpu === null ? '' : ` ${offer.gpu}${offer.gpuCount > 1 ? ` x${offer.gpuCount}` : ''}`
  const spot = offer.spot ? ', spot' : ''
  const type = offer.instanceType === undefined ? '' : ` (${offer.instanceType})`
  return plainLine(`${offer.cloud} ${offer.region}${gpu}${type}${spot}, ${formatUsd(offer.pricePerHourMicroUsd)}/h`)
}

/** What clouds said of the offer lately, as it moved its rank; empty where nothing is remembered. */
export function standingWords({ standing }: RankedOfferView, now: number): string {
  if (!standing) return ''
  const { factor, refusals, refusedAt, refusedFor, gaveAt } = standing
  const times = refusals > 1 ? `${refusals} times, last ` : ''
  const refused = refusedAt === null ? [] : [`refused ${times}${ageOf(refusedAt, now)} ago (${refusedFor})`]
  const gave = gaveAt === null ? [] : [`gave a machine ${ageOf(gaveAt, now)} ago`]
  return plainLine(`${[...refused, ...gave].join(', ')}: ranked as x${factor.toFixed(2)} its price`)
}

/** Clouds that do not say now what they offer: since when, why, and what to do. Empty where all do. */
export function cloudTroubles(clouds: readonly CloudOffersView[], now: number, look: Look): string {
  const lines = clouds.flatMap(({ cloud, readAt, failure }) => {
    if (!failure) return []
    const since = readAt === null ? 'its offers were never read' : `its offers are from ${ageOf(readAt, now)} ago`
    return [
      look.paint.warn(cut(plainLine(`${cloud}: ${failure.cause} (${since})`), look.columns)),
      cut(plainLine(`  what to do: ${failure.remedy}`), look.columns),
    ]
  })
  return lines.map((line) => `${line}\n`).join('')
}

/** The phases of the attempt that runs, with the wait in the queue before it. */
export function currentPhases(launch: LaunchDetail): PhaseRow[] {
  const attempt = launch.attempts.at(-1)
  return launch.phases.filter(({ attemptId }) => attemptId === null || attemptId === attempt?.id)
}

/** The picture of a launch: one line each, none wider than the screen, all together not higher than it. */
export function progressLines(frame: ProgressFrame, look: Look): string[] {
  const { launch, now, trouble } = frame
  const head = headLine(launch, now, look)
  const failed = launch.attempts
    .filter(({ outcome }) => outcome === 'failed')
    .map((attempt) => failedLine(attempt, look))
  const tail = [barLine(launch, look)]
  if (frame.lastLine) tail.push(look.paint.dim(cut(`  | ${plainLine(frame.lastLine)}`, look.columns)))
  if (trouble) tail.push(look.paint.warn(cut(`  ! ${plainLine(trouble)}`, look.columns)))
  const room = look.rows - tail.length - 3
  const recentFailed = failed.slice(-Math.max(1, Math.floor(room / 3)))
  return [head, ...recentFailed, ...phaseLines(launch, now, room - recentFailed.length, look), ...tail]
}

function headLine(launch: LaunchDetail, now: number, look: Look): string {
  const attempt = launch.attempts.at(-1)
  const where = attempt ? ` on ${offerWords(attempt.offer)}` : ''
  const nth = attempt && attempt.ordinal > 1 ? ` (attempt ${launch.attempts.length})` : ''
  const state = launch.state === 'attempting' ? '' : ` ${launch.state.replaceAll('_', ' ')}`
  const elapsed = humanMs(msBetween(launch.createdAt, launch.endedAt ?? launchReadyAt(launch), now))
  const left = `${plainLine(launch.model)}${where}${nth}:${state || ' starting'}`
  const width = Number.isFinite(look.columns) ? Math.min(look.columns, headColumns) : widthOf(left) + elapsed.length + 2
  const line = padEnd(cut(left, width - elapsed.length - 2), width - elapsed.length) + elapsed
  return look.paint.bold(cut(line, look.columns))
}

// The time stands at the right, but not so far away that the eye loses it.
const headColumns = 100

function failedLine(attempt: Attempt, look: Look): string {
  const cause = attempt.failure ? plainLine(attempt.failure.cause) : 'failed'
  const mark = look.unicode ? '✗' : 'x'
  return look.paint.bad(cut(`  ${mark} attempt ${attempt.ordinal}: ${cause}`, look.columns))
}

function phaseLines(launch: LaunchDetail, now: number, room: number, look: Look): string[] {
  const seen = currentPhases(launch)
  // The cause of an attempt before is kept while the next one runs, which says nothing about that one.
  const stuck = isLeaving(launch.state)
  const broken = stuck && launch.failure !== null ? seen.at(-1) : undefined
  const lines = seen.map((row) =>
    phaseLine(row, launch, now, row === broken ? 'broken' : stuck ? 'stuck' : 'open', look),
  )
  const steps = currentSteps(launch).slice(-Math.max(0, room - 2 - lines.length))
  const hidden = Math.max(0, lines.length - Math.max(1, room - 1))
  if (hidden > 0) {
    const doneMs = seen.slice(0, hidden).reduce((sum, row) => sum + msBetween(row.startedAt, row.endedAt, now), 0)
    lines.splice(
      0,
      hidden,
      look.paint.dim(cut(`  ${mark('done', look)} ${hidden} phases  ${humanMs(doneMs)}`, look.columns)),
    )
  }
  if (hidden === 0) putSteps(lines, seen, steps, (step) => stepLine(step, now, look))
  const next = stuck || launch.state === 'live' ? null : nextLine(launch, look)
  if (next !== null && room > 2) lines.push(look.paint.dim(cut(next, look.columns)))
  return lines
}

/** The phase that follows; where the past knows it, that one and how long it usually takes. */
function nextLine({ phase, phasesToCome }: LaunchDetail, look: Look): string | null {
  const [known] = phasesToCome
  const next = known?.phase ?? phases[phases.indexOf(phase) + 1]
  if (next === undefined) return null
  const words = `  ${mark('next', look)} ${phaseWords(next)}`
  return known ? `${padEnd(words, phaseWidth + 4)}  usually ${humanMs(known.usualMs)}` : words
}

/** The steps of the attempt that runs, until it serves: then they are no news. */
function currentSteps(launch: LaunchDetail): StepRow[] {
  if (launch.state === 'live') return []
  return launch.steps.filter(({ attemptId }) => attemptId === launch.attempts.at(-1)?.id)
}

/** Each below the phase that it began in. */
function putSteps(lines: string[], seen: readonly PhaseRow[], steps: readonly StepRow[], show: (s: StepRow) => string) {
  for (let i = seen.length - 1; i >= 0; i--) {
    const mine = steps.filter(({ attemptId, phase }) => attemptId === seen[i]?.attemptId && phase === seen[i]?.phase)
    lines.splice(i + 1, 0, ...mine.map(show))
  }
}

function stepLine({ text, startedAt, endedAt }: StepRow, now: number, look: Look): string {
  const took = humanMs(msBetween(startedAt, endedAt, now))
  return look.paint.dim(cut(`      ${padStart(took, 7)}  ${plainLine(text)}`, look.columns))
}

/** `broken`: it is where the launch failed, although its time has ended. */
type Fate = 'open' | 'stuck' | 'broken'

function phaseLine(row: PhaseRow, launch: LaunchDetail, now: number, fate: Fate, look: Look): string {
  const { paint, columns } = look
  const done = row.phase === 'ready' || (row.endedAt !== null && fate !== 'broken')
  const kind = done ? 'done' : fate === 'open' ? 'open' : 'stuck'
  const took = row.phase === 'ready' ? '' : padStart(humanMs(msBetween(row.startedAt, row.endedAt, now)), 7)
  const percent = kind === 'open' && row.percent !== null ? `  ${Math.floor(row.percent)}%` : ''
  const place = row.phase === 'queued' && !done ? queueWords(launch) : null
  const queue = place === null ? '' : `  ${place}`
  const size = sizeWords(row)
  const text = `  ${mark(kind, look)} ${padEnd(phaseWords(row.phase), phaseWidth)}${took}${percent}${size && `  ${size}`}${queue}`
  const colour = { done: paint.good, stuck: paint.bad, open: paint.bold }[kind]
  return colour(cut(text.trimEnd(), columns))
}

const marks = {
  unicode: { done: '✓', open: '▸', next: '·', stuck: '✗' },
  ascii: { done: '+', open: '>', next: '.', stuck: 'x' },
} as const

const mark = (kind: keyof typeof marks.ascii, look: Look) => marks[look.unicode ? 'unicode' : 'ascii'][kind]

const barColumns = 40

function barLine(launch: LaunchDetail, look: Look): string {
  if (isOver(launch.state))
    return cut(`  nothing of it is left running, cost ${formatUsd(launch.costMicroUsd)}`, look.columns)
  if (launch.state === 'ending') return cut('  giving everything back', look.columns)
  const width = Math.max(4, Math.min(barColumns, look.columns - 24))
  const percent = launch.state === 'live' ? 100 : launch.percent
  const full = Math.floor((width * percent) / 100)
  const [on, off] = look.unicode ? ['█', '░'] : ['#', '.']
  const eta =
    launch.state === 'live' ? 'serving' : launch.etaMs === null ? '' : `about ${humanRough(launch.etaMs)} left`
  return cut(`  ${on.repeat(full)}${off.repeat(width - full)} ${Math.floor(percent)}%  ${eta}`.trimEnd(), look.columns)
}

/** What became new between two views of a launch, one line each: for logs and pipes, where nothing can be redrawn. */
export function changeLines(before: LaunchDetail | null, launch: LaunchDetail, now: number): string[] {
  const lines: string[] = []
  const known = new Set(before?.phases.map(phaseKey))
  const closed = new Set(before?.attempts.filter(({ closedAt }) => closedAt !== null).map(({ id }) => id))
  const started = new Set(before?.attempts.map(({ id }) => id))
  for (const attempt of launch.attempts) {
    if (!started.has(attempt.id)) lines.push(`attempt ${attempt.ordinal} at ${offerWords(attempt.offer)}`)
    if (attempt.closedAt !== null && attempt.failure && !closed.has(attempt.id)) {
      lines.push(`attempt ${attempt.ordinal} failed: ${plainLine(attempt.failure.cause)}`)
    }
  }
  const ended = new Set(before?.phases.filter(({ endedAt }) => endedAt !== null).map(phaseKey))
  for (const row of launch.phases) {
    const size = row.endedAt === null || ended.has(phaseKey(row)) ? '' : sizeWords(row)
    if (size) lines.push(`${phaseWords(row.phase)} done: ${size}`)
    if (!known.has(phaseKey(row))) lines.push(phaseChange(row, launch))
  }
  for (const { text } of launch.steps.slice(before?.steps.length ?? 0)) lines.push(`  ${plainLine(text)}`)
  const waits = [launch.queuePlace, launch.waitsFor]
  if (launch.queuePlace !== null && String(waits) !== String([before?.queuePlace, before?.waitsFor])) {
    lines.push(`place ${launch.queuePlace} in the queue${launch.waitsFor ? `: ${plainLine(launch.waitsFor)}` : ''}`)
  }
  if (launch.queuePlace === null && launch.waitsFor !== null && launch.waitsFor !== before?.waitsFor)
    lines.push(`waits: ${plainLine(launch.waitsFor)}`)
  const quiet = launch.state === 'queued' || launch.state === 'attempting'
  if (!quiet && launch.state !== before?.state) lines.push(launch.state.replaceAll('_', ' '))
  return lines.map((line) => `${padStart(humanMs(msBetween(launch.createdAt, null, now)), 7)}  ${line}`)
}

const phaseKey = ({ attemptId, phase }: PhaseRow) => `${attemptId} ${phase}`

function phaseChange({ phase }: PhaseRow, launch: LaunchDetail): string {
  if (phase !== launch.phase || phase === 'ready') return phaseWords(phase)
  const eta = launch.etaMs === null ? '' : `, about ${humanRough(launch.etaMs)} left`
  return `${phaseWords(phase)} (${Math.floor(launch.percent)}%${eta})`
}
