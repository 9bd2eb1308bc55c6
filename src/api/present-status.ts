import { groupOf } from '../core/fleet-group.ts'
import { isHeldByPause } from '../core/loop-table.ts'
import { type NodeState, nodeStates } from '../core/node-table.ts'
import { version } from '../core/version.ts'
import type { PoolFigures } from '../store/database.ts'
import type { LoopRow, StatusRow } from '../store/read-status.ts'
import type { StatusView } from '../wire/views.ts'
import { iso, maybeIso } from './present-time.ts'

export interface StatusScene {
  readonly now: number
  readonly databaseKind: 'embedded' | 'given'
  readonly pool: PoolFigures
  /** The routing table as it is now; null while it is not known. */
  readonly tableVersion: string | null
}

// A server that left is shown for this long; the last word on a loop is shown however old it is.
const shownMs = 15 * 60_000
const latePasses = 3

export function presentStatus(row: StatusRow, scene: StatusScene): StatusView {
  const { now, pool, databaseKind, tableVersion } = scene
  return {
    install: row.install,
    version,
    paused: row.paused,
    pausedReason: row.pausedReason,
    guard: row.guard,
    guardHolds: row.guardHolds.map((hold) => ({ ...hold, since: iso(hold.since), until: maybeIso(hold.until) })),
    loops: shownLoops(row.loops, now).map((loop) => presentLoop(loop, row.paused, now)),
    gateways: row.gateways.map((gateway) => ({
      id: gateway.id,
      url: gateway.url,
      seenAt: iso(gateway.seenAt),
      tableCurrent: gateway.tableVersion !== null && gateway.tableVersion === tableVersion,
    })),
    silentClouds: row.silentClouds.map(({ name, lookedAt, problem }) => ({
      name,
      lookedAt: maybeIso(lookedAt),
      problem,
    })),
    nodes: countStates(row.nodes),
    fleet: countGroups(row.living),
    burnPerHourMicroUsd: row.burnPerHourMicroUsd,
    orphans: row.orphans.map((orphan) => ({ ...orphan, firstSeenAt: iso(orphan.firstSeenAt) })),
    sweepArmed: row.sweepArmed,
    database: {
      kind: databaseKind,
      poolSize: pool.size,
      waitingNow: pool.waitingNow(),
      longestWaitMs: Math.round(pool.longestWaitMs()),
    },
  }
}

function shownLoops(loops: readonly LoopRow[], now: number): LoopRow[] {
  const newest = new Map<string, number>()
  for (const { loop, at } of loops) newest.set(loop, Math.max(at, newest.get(loop) ?? 0))
  return loops.filter(({ loop, at }) => now - at <= shownMs || at === newest.get(loop))
}

/**
 * A loop without due rows rests, however long; late is one that leaves due rows alone, or rows in a claim that ran out,
 * though no pause tells it to.
 */
export const isLate = ({ loop, dueSince, everyMs }: LoopRow, paused: boolean, now: number): boolean =>
  dueSince !== null && now - dueSince > latePasses * everyMs && !(paused && isHeldByPause(loop))

function presentLoop(row: LoopRow, isPaused: boolean, now: number): StatusView['loops'][number] {
  const { loop, server, tookMs, moved, everyMs, error } = row
  const late = isLate(row, isPaused, now)
  const paused = isPaused && isHeldByPause(loop)
  return { loop, server, lastPassAt: iso(row.at), tookMs, moved, everyMs, late, paused, error }
}

export function countStates(counts: StatusRow['nodes']): Record<NodeState, number> {
  const none = Object.fromEntries(nodeStates.map((state) => [state, 0])) as Record<NodeState, number>
  for (const { state, count } of counts) none[state] += count
  return none
}

function countGroups(living: StatusRow['living']): StatusView['fleet'] {
  const fleet = { wrong: 0, starting: 0, leaving: 0, ready: 0, inFlight: 0 }
  for (const node of living) {
    fleet[groupOf(node)] += node.count
    fleet.inFlight += node.inFlight
  }
  return fleet
}
