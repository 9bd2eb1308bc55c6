import type { AgentStanding } from '../core/agent-protocol.ts'
import { humanMs } from '../core/human-time.ts'
import { formatUsd } from '../core/money.ts'
import { meaningOf } from '../core/verdict-table.ts'
import type { LogLine, NodeDetail, NodeView } from '../wire/views.ts'
import { failureText } from './exit.ts'
import { ageOf, msBetween } from './human-time.ts'
import { offerWords } from './launch-progress.ts'
import { cut, plainLine } from './plain-text.ts'
import { facts, table } from './table.ts'
import type { Look, Paint } from './terminal.ts'

type Signal = NodeView['signals']['heartbeat']

function paintOfVerdict(verdict: NodeView['verdict'], paint: Paint): ((text: string) => string) | undefined {
  return { healthy: paint.good, degraded: paint.warn, suspect: paint.bad, dead: paint.bad, unknown: undefined }[verdict]
}

/** `good 3s`: what the witness said, and how long ago. */
const signalWords = ({ value, at }: Signal, now: number): string => (at === null ? value : `${value} ${ageOf(at, now)}`)

export function nodesText(nodes: readonly NodeView[], now: number, look: Look): string {
  if (nodes.length === 0) return 'No nodes are running, so nothing is billed. `--all` shows those that are gone.\n'
  return table<NodeView>(
    [
      { title: 'NODE', cell: ({ name }) => name },
      { title: 'STATE', cell: ({ state, stateSince }) => `${state} ${ageOf(stateSince, now)}` },
      {
        title: 'VERDICT',
        cell: ({ verdict }) => verdict,
        paint: ({ verdict }) => paintOfVerdict(verdict, look.paint),
      },
      { title: 'HEARTBEAT', cell: ({ signals }) => signalWords(signals.heartbeat, now) },
      { title: 'PROBE', cell: ({ signals }) => signalWords(signals.probe, now) },
      { title: 'SIGHTING', cell: ({ signals }) => signalWords(signals.sighting, now) },
      { title: 'IN FLIGHT', cell: ({ inFlight }) => String(inFlight), right: true },
      { title: 'PER HOUR', cell: ({ offer }) => formatUsd(offer.pricePerHourMicroUsd), right: true },
      { title: 'BILLED', cell: ({ billed }) => billed },
      { title: 'COST', cell: ({ costMicroUsd }) => formatUsd(costMicroUsd), right: true },
      { title: 'DEPLOYMENT', cell: ({ deployment }) => deployment, gives: true },
      { title: 'SAYS', cell: ({ statusMessage }) => statusMessage, gives: true },
    ],
    nodes,
    look,
  )
}

export function nodeText(node: NodeDetail, now: number, look: Look): string {
  const { paint } = look
  const verdict = (paintOfVerdict(node.verdict, paint) ?? paint.bold)(node.verdict)
  const signal = (name: keyof NodeView['signals']) => {
    const { value, at, since, detail } = node.signals[name]
    const lasting = since === null ? value : `${value} for ${ageOf(since, now)}`
    const last = at === null ? '' : `, last word ${ageOf(at, now)} ago`
    return plainLine(`${lasting}${last}${detail ? ` (${detail})` : ''}`)
  }
  const gpus = node.gpus.map(({ name, memoryMib }) => `${name} ${Math.round(memoryMib / 1024)} GiB`).join(', ')
  const head = facts(
    [
      ['node', plainLine(`${node.name} (${node.id})`)],
      ['state', `${paint.bold(node.state)} for ${ageOf(node.stateSince, now)}`],
      ['says', plainLine(node.statusMessage)],
      [
        'verdict',
        `${verdict}${node.verdictRow ? ` by the row ${node.verdictRow}: ${meaningOf(node.verdictRow)}` : ''}`,
      ],
      ['notice', noticeWords(node, now)],
      ['hold', holdWords(node, now)],
      ['heartbeat', signal('heartbeat')],
      ['probe', signal('probe')],
      ['sighting', signal('sighting')],
      ['in flight', String(node.inFlight)],
      ['serves', plainLine(`${node.model} (${node.engine}${node.engineVersion ? ` ${node.engineVersion}` : ''})`)],
      ['deployment', plainLine(node.deployment)],
      ['launch', node.launchId],
      ['offer', offerWords(node.offer)],
      ['machine', node.hostname && plainLine([node.hostname, node.instanceType, gpus].filter(Boolean).join(', '))],
      ['agent', agentWords(node)],
      ['lease', leaseWords(node, now)],
      ['billed', `${node.billed}, ${formatUsd(node.costMicroUsd)} so far`],
    ],
    look,
  )
  const failure = node.failure ? `\n${failureText({ record: node.failure, requestId: null }, look)}` : ''
  return `${head}${faultsText(node, now, look)}${ledgerText(node, now, look)}${timelineText(node, now, look)}${failure}`
}

const standingWords: Readonly<Record<AgentStanding, string>> = {
  current: '',
  behind: ', behind the one that is served here: it works, and goes when the node is replaced',
  ahead: ', ahead of the one that is served here',
  too_old: ', too old to be heard: drain the node, and the machine in its place brings the right one',
}

function agentWords({ agentVersion, agentProtocol, agentStanding }: NodeDetail): string | null {
  if (agentVersion === null || agentStanding === null) return null
  return plainLine(`${agentVersion}, protocol ${agentProtocol}${standingWords[agentStanding]}`)
}

/** Until when, by whom, and what that costs. */
export function holdWords({ hold }: Pick<NodeDetail, 'hold'>, now: number): string | null {
  if (hold === null) return null
  const { until, by, isKept, pricePerHourMicroUsd, costMicroUsd } = hold
  const left = humanMs(Math.max(0, Date.parse(until) - now))
  const what = isKept ? `kept for ${left} more` : `kept for the next ${left}, should it fail or drain`
  const cost = `${formatUsd(pricePerHourMicroUsd)}/h, ${formatUsd(costMicroUsd)} until then`
  return plainLine(`${what}${by === null ? '' : `, for ${by}`}: ${cost}`)
}

/** Who announced what, and until when; a service that does not answer would announce nothing. */
function noticeWords({ notice, noticeServiceAnswers, drainUntil }: NodeDetail, now: number): string | null {
  const silent = noticeServiceAnswers === false ? 'its cloud cannot be asked for notices' : null
  if (notice === null) return silent
  const { source, kind, action, takenAt } = notice
  if (kind === 'rebalance') return plainLine(`${source}: at a higher risk of being taken`)
  const within = (at: string) => `${humanMs(Math.max(0, Date.parse(at) - now))}`
  const taken = takenAt === null ? '' : `, taken in ${within(takenAt)}`
  const drained = drainUntil === null ? '' : `; requests have ${within(drainUntil)}`
  return plainLine(`${source}: ${action}${taken}${drained}${silent === null ? '' : `; ${silent}`}`)
}

const faultWords = {
  replace: 'the machine is replaced',
  engine: "the engine's own",
  none: 'nothing is done',
  later: 'the machine is replaced when its turn comes',
} as const

/** What was said of the GPUs, with the line that said it. */
function faultsText({ gpuFaults }: NodeDetail, now: number, look: Look): string {
  if (gpuFaults.length === 0) return ''
  const lines = gpuFaults.flatMap(({ means, action, heldBack, evidence, toldAt }) => [
    cut(`  ${ageOf(toldAt, now)} ago  ${plainLine(means)}: ${faultWords[heldBack ? 'later' : action]}`, look.columns),
    cut(`    ${plainLine(evidence)}`, look.columns),
  ])
  return `\n${look.paint.dim('GPU faults')}\n${lines.join('\n')}\n`
}

function leaseWords({ leaseUntil, state }: NodeDetail, now: number): string | null {
  if (leaseUntil === null || state === 'gone') return null
  const leftMs = Date.parse(leaseUntil) - now
  return leftMs > 0 ? `runs out in ${humanMs(leftMs)} unless renewed` : 'has run out'
}

function ledgerText({ ledger }: NodeDetail, now: number, look: Look): string {
  if (ledger.length === 0) return ''
  return `\n${table<NodeDetail['ledger'][number]>(
    [
      { title: 'PAID FOR', cell: ({ duty }) => duty },
      { title: 'TIME', cell: (line) => humanMs(msBetween(line.openedAt, line.closedAt, now)), right: true },
      { title: 'PER HOUR', cell: (line) => formatUsd(line.pricePerHourMicroUsd), right: true },
      { title: 'COST', cell: (line) => formatUsd(line.costMicroUsd), right: true },
      { title: '', cell: ({ closedAt }) => (closedAt === null ? 'running' : ' ') },
    ],
    ledger,
    look,
  )}`
}

const timelineLines = 15

function timelineText({ timeline }: NodeDetail, now: number, look: Look): string {
  if (timeline.length === 0) return ''
  const newestLast = [...timeline].sort((a, b) => a.id - b.id).slice(-timelineLines)
  const lines = newestLast.map((event) => cut(`  ${ageOf(event.at, now)} ago  ${plainLine(event.text)}`, look.columns))
  return `\n${look.paint.dim('what happened')}\n${lines.join('\n')}\n`
}

/** One line of a node's log. The engine's own lines stand alone; the agent's are marked. */
export function logText(line: LogLine, look: Look): string {
  const text = plainLine(line.text)
  return `${line.source === 'agent' ? look.paint.dim(`[agent] ${text}`) : text}\n`
}
