import { readFileSync } from 'node:fs'
import type { Client } from '../wire/client.ts'
import type { LaunchView, NodeView } from '../wire/views.ts'
import { markedProcesses, signalProcess } from './demo-world.ts'
import { quietPause } from './live-feed.ts'

export type BlowKind = 'notice' | 'kill'

/** What befell one machine. `at` is epoch ms, `from` the same moment on the monotonic clock. */
export interface Blow {
  readonly kind: BlowKind
  readonly nodeId: string
  readonly node: string
  readonly at: number
  readonly from: number
}

/** What came of it, in ms after it; null: not within the time of the rehearsal. */
export interface Aftermath {
  readonly kind: BlowKind
  readonly node: string
  readonly unroutableMs: number | null
  readonly replacementAskedMs: number | null
  readonly servesAgainMs: number | null
}

const lookMs = 20
// A look that finds none may come between two sockets; so long without any is none.
const noneForMs = 2_000

/**
 * When the gateway had no connection left that it could give a request to: the first of the looks that all agree.
 * @throws Error when it has some for as long as is waited.
 */
export async function unroutable(
  gatewayUrl: string,
  name: string,
  limitMs: number,
  signal: AbortSignal,
): Promise<number> {
  let since: number | null = null
  const until = performance.now() + limitMs
  for (; performance.now() < until && !signal.aborted; await quietPause(lookMs, signal)) {
    const page = await (await fetch(`${gatewayUrl}/metrics`, { signal })).text()
    const spares = Number(new RegExp(`spare_sockets\\{node="${name}"\\} (\\d+)`).exec(page)?.[1] ?? 0)
    if (spares > 0) since = null
    else since ??= performance.now()
    if (since !== null && performance.now() - since > noneForMs) return since
  }
  throw new Error(`${name} stays routable`)
}

export const serving = (nodes: readonly NodeView[]): NodeView[] =>
  nodes.filter(({ state, verdict, signals }) => {
    return state === 'ready' && verdict === 'healthy' && signals.probe.value === 'good'
  })

/** A notice is the signal by which every system ends its processes; a kill takes the machine as a power cut does. */
export function strike(kind: BlowKind, { id: nodeId, name: node }: NodeView): Blow {
  const blow = { kind, nodeId, node, at: Date.now(), from: performance.now() }
  if (kind === 'notice') for (const pid of processesOf(node).filter(isLoop)) signalProcess(pid, 'SIGTERM')
  else killAll(node)
  return blow
}

const processesOf = (node: string): number[] => markedProcesses([`FLIGHTDECK_MACHINE=${node}`, node])

// The loop that starts everything else anew may have done so while we killed.
const killRounds = 10

function killAll(node: string): void {
  for (let round = 0; round < killRounds; round++) {
    const pids = processesOf(node)
    if (pids.length === 0) return
    for (const pid of pids) signalProcess(pid, 'SIGKILL')
  }
}

function isLoop(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('loop.sh')
  } catch {
    // It ended while we looked.
    return false
  }
}

/** Kinds of events by which a node gives up its slot, so that another machine is asked for. */
const givesUp = ['node.draining', 'node.replace_asked', 'node.releasing', 'node.gone']

/** Who replaced whom is not told; slots are filled in the order in which they are given up. */
export async function aftermath(
  client: Client,
  blows: readonly Blow[],
  unroutableAt: ReadonlyMap<string, number>,
  launches: readonly LaunchView[],
): Promise<Aftermath[]> {
  const nodes = (await client.listNodes({ query: { all: true } })).items
  const given = await Promise.all(
    blows.map(async (blow) => {
      const { timeline } = await client.showNode({ params: { id: blow.nodeId } })
      const event = timeline.find(({ kind, at }) => givesUp.includes(kind) && Date.parse(at) >= blow.at)
      return { blow, givenUpAt: event ? Date.parse(event.at) : Number.POSITIVE_INFINITY }
    }),
  )
  const asked = [...launches].sort((a, b) => Date.parse(a.createdAt) - Date.parse(b.createdAt))
  return given
    .sort((a, b) => a.givenUpAt - b.givenUpAt)
    .map(({ blow }, i) => {
      const launch = asked[i]
      const readyAt = nodes.find(({ launchId }) => launchId === launch?.id)?.readyAt
      const gone = unroutableAt.get(blow.nodeId)
      return {
        kind: blow.kind,
        node: blow.node,
        unroutableMs: gone === undefined ? null : Math.max(0, Math.round(gone - blow.from)),
        replacementAskedMs: launch ? Date.parse(launch.createdAt) - blow.at : null,
        servesAgainMs: readyAt ? Date.parse(readyAt) - blow.at : null,
      }
    })
}
