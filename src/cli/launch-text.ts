import { humanMs } from '../core/human-time.ts'
import { isLeaving } from '../core/launch-table.ts'
import { formatUsd } from '../core/money.ts'
import type { EventView, LaunchDetail, LaunchView, LogLine } from '../wire/views.ts'
import { failureText } from './exit.ts'
import { ageOf, msBetween } from './human-time.ts'
import { currentPhases, offerWords, phaseWords, queueWords } from './launch-progress.ts'
import { logText } from './node-text.ts'
import { cut, padEnd, padStart, plainLine } from './plain-text.ts'
import { facts, table } from './table.ts'
import type { Look, Paint } from './terminal.ts'

type PhaseRow = LaunchDetail['phases'][number]
type Attempt = LaunchDetail['attempts'][number]
type Transcript = { readonly events: readonly EventView[]; readonly lines: readonly LogLine[] }

export function paintOfLaunch(state: LaunchView['state'], paint: Paint): ((text: string) => string) | undefined {
  if (state === 'live') return paint.good
  if (state === 'failed' || state === 'timed_out') return paint.bad
  return state === 'backing_off' || state === 'ending' ? paint.warn : undefined
}

export function launchesText(launches: readonly LaunchView[], now: number, look: Look): string {
  if (launches.length === 0) return 'No launches yet. Start one with `flightdeck launch MODEL`.\n'
  return table<LaunchView>(
    [
      { title: 'LAUNCH', cell: ({ id }) => id },
      { title: 'STATE', cell: ({ state }) => state, paint: ({ state }) => paintOfLaunch(state, look.paint) },
      { title: 'PHASE', cell: phaseOf, gives: true },
      { title: 'MODEL', cell: ({ model }) => model, gives: true },
      { title: 'DEPLOYMENT', cell: ({ deployment, slot }) => `${deployment}#${slot}`, gives: true },
      { title: 'AGE', cell: ({ createdAt }) => ageOf(createdAt, now), right: true },
      { title: 'COST', cell: ({ costMicroUsd }) => formatUsd(costMicroUsd), right: true },
      { title: 'CAUSE', cell: ({ failure }) => failure?.cause ?? '', gives: true },
    ],
    launches,
    look,
  )
}

function phaseOf({ state, phase, percent, queuePlace }: LaunchView): string {
  if (state === 'queued' && queuePlace !== null) return `place ${queuePlace}`
  if (state === 'attempting') return `${phaseWords(phase)} ${Math.floor(percent)}%`
  return state === 'backing_off' ? 'waiting to retry' : ''
}

export function launchText(launch: LaunchDetail, now: number, look: Look): string {
  const { paint } = look
  const state = launch.state.replaceAll('_', ' ')
  const head = facts(
    [
      ['launch', launch.id],
      ['state', `${(paintOfLaunch(launch.state, paint) ?? paint.bold)(state)} for ${ageOf(launch.stateSince, now)}`],
      ['model', plainLine(`${launch.model} (${launch.engine})`)],
      ['deployment', plainLine(`${launch.deployment}, slot ${launch.slot}`)],
      ['asked by', plainLine(`${launch.requestedBy} ${ageOf(launch.createdAt, now)} ago (${launch.origin})`)],
      ['queue', queueWords(launch)],
      ['node', launch.attempts.at(-1)?.nodeName ?? null],
      ['cost', formatUsd(launch.costMicroUsd)],
    ],
    look,
  )
  const attempts = launch.attempts.map((attempt) => attemptText(attempt, launch, now, look)).join('')
  const rows = currentPhases(launch)
  const picture = rows.length === 0 ? '' : `\n${paint.dim('phases')}\n${phaseBars(rows, now, look)}`
  const record = ownFailure(launch)
  const failure = record ? `\n${failureText({ record, requestId: null }, look)}` : ''
  return `${head}${attempts && `\n${paint.dim('attempts')}\n${attempts}`}${picture}${failure}`
}

/** While more attempts may follow, what went wrong is the attempt's alone. */
const ownFailure = ({ state, failure }: LaunchDetail) => (isLeaving(state) ? failure : null)

// What is shown of a text, and of the steps inside an attempt; `--json` has all.
const mostLines = 12

/** Each attempt: where, for how much, how long; what was worked on inside; why it failed, and the text that says so. */
function attemptText(attempt: Attempt, launch: LaunchDetail, now: number, look: Look): string {
  const outcome = attempt.outcome ?? `running (${attempt.nodeState})`
  const took = humanMs(attempt.seconds * 1_000)
  const line = `${attempt.ordinal}  ${offerWords(attempt.offer)}  ${plainLine(attempt.nodeName)}  ${outcome}  ${took}  ${formatUsd(attempt.costMicroUsd)}`
  const inside = launch.steps
    .filter(({ attemptId }) => attemptId === attempt.id)
    .slice(-mostLines)
    .map(({ text, startedAt, endedAt }) => {
      return `   ${padStart(humanMs(msBetween(startedAt, endedAt, now)), 7)}  ${plainLine(text)}`
    })
  const lines = [line, ...inside, ...whyLines(attempt)].map((text) => `${cut(text, look.columns)}\n`)
  const { evidence } = attempt.failure ?? {}
  // The failure of the launch is shown whole at the end.
  const isShownBelow = evidence === ownFailure(launch)?.evidence
  return [...lines, ...(evidence && !isShownBelow ? evidenceLines(evidence, look) : [])].join('')
}

function whyLines({ failure }: Attempt): string[] {
  if (!failure) return []
  const { code, fault, retry, cause, remedy } = failure
  return [
    `   class: ${code} (${fault}, retry ${retry.replaceAll('_', ' ')})`,
    `   cause: ${plainLine(cause)}`,
    `   remedy: ${plainLine(remedy)}`,
  ]
}

/** A text as it was said, as far as a screen should show it. */
export function evidenceLines(evidence: string, look: Look): string[] {
  const all = evidence.split('\n').filter((line) => line.trim() !== '')
  const more = all.length > mostLines ? [`   | ... ${all.length - mostLines} more lines, see --json`] : []
  const shown = all.slice(0, mostLines).map((line) => `   | ${plainLine(line)}`)
  return [...shown, ...more].map((line) => look.paint.dim(`${cut(line, look.columns)}\n`))
}

/** What happened and what was printed, in the order of time. */
export function transcriptText({ events, lines }: Transcript, look: Look): string {
  const said = [
    ...events.map(({ at, text }) => ({ at, text: `${look.paint.bold(`* ${plainLine(text)}`)}\n` })),
    ...lines.map((line) => ({ at: line.at, text: logText(line, look) })),
  ]
  if (said.length === 0) return 'Nothing was said yet.\n'
  said.sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
  return said.map(({ at, text }) => `${look.paint.dim(at.slice(11, 23))}  ${text}`).join('')
}

const widestBar = 48
const labelColumns = 27

/** Each phase as a bar where it lay in the launch's time; a phase that was too short to draw still gets a mark. */
export function phaseBars(rows: readonly PhaseRow[], now: number, look: Look): string {
  const lasting = rows.filter(({ phase }) => phase !== 'ready')
  const from = Math.min(...lasting.map(({ startedAt }) => Date.parse(startedAt)))
  const to = Math.max(from + 1, ...lasting.map(({ endedAt }) => (endedAt === null ? now : Date.parse(endedAt))))
  const width = Math.min(widestBar, look.columns - labelColumns)
  const scale = (ms: number) => Math.round((width * ms) / (to - from))
  return lasting
    .map((row) => {
      const tookMs = msBetween(row.startedAt, row.endedAt, now)
      const label = `  ${padEnd(phaseWords(row.phase), 17)}${padStart(humanMs(tookMs), 7)} `
      if (width < 8) return `${cut(label, look.columns).trimEnd()}\n`
      const offset = Math.min(width - 1, scale(Date.parse(row.startedAt) - from))
      const length = Math.max(1, Math.min(width - offset, scale(tookMs)))
      const bar = (look.unicode ? '█' : '=').repeat(length)
      return `${label}${' '.repeat(offset)}${row.endedAt === null ? look.paint.bold(bar) : bar}\n`
    })
    .join('')
}
