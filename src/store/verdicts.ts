import type { FailureRecord } from '../core/failure.ts'
import type { Witnesses } from '../core/health.ts'
import type { NodeState } from '../core/node-table.ts'
import type { Verdict } from '../core/verdict-table.ts'
import { type Claim, holds, nudge } from './claims.ts'
import { at, type Db, type Tx } from './database.ts'
import { tellEvent } from './events.ts'
import { transact } from './transact.ts'

export interface WatchedNode {
  readonly id: string
  readonly name: string
  readonly cloud: string
  readonly launchId: string
  readonly state: NodeState
  readonly verdict: Verdict
  readonly verdictRow: string | null
  readonly verdictSince: number
  readonly witnesses: Witnesses
}

/** Every node that has joined and is not on its way out, with the last words of its three witnesses. */
export async function loadWatched(db: Db): Promise<WatchedNode[]> {
  const rows = await db
    .selectFrom('nodes as n')
    .leftJoin('signals as g', 'g.node_id', 'n.id')
    .leftJoin('sightings as s', 's.name', 'n.name')
    .select([
      'n.id',
      'n.name',
      'n.cloud',
      'n.launch_id',
      'n.state',
      'n.verdict',
      'n.verdict_row',
      'n.verdict_since',
      'n.failure',
      'n.created_at',
      'n.ready_at',
    ])
    .select(['g.heard_at', 'g.heartbeat', 'g.probe_at', 'g.probe_good', 's.seen', 's.at'])
    .where('n.state', 'in', ['loading', 'ready', 'draining'])
    .execute()
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    cloud: row.cloud,
    launchId: row.launch_id,
    state: row.state,
    verdict: row.verdict,
    verdictRow: row.verdict_row,
    verdictSince: row.verdict_since ?? row.created_at,
    witnesses: {
      heardAt: row.heard_at,
      failure: row.failure ?? engineFailure(row.heartbeat),
      readyAt: row.ready_at,
      probe: row.probe_at === null || row.probe_good === null ? null : { good: row.probe_good, at: row.probe_at },
      sighting: row.seen === null || row.seen === 'asked' || row.at === null ? null : { seen: row.seen, at: row.at },
    },
  }))
}

function engineFailure(heartbeat: Record<string, unknown> | null): FailureRecord | null {
  const engine = heartbeat?.engine as { failure?: FailureRecord | null } | undefined
  return engine?.failure ?? null
}

export interface NewVerdict {
  readonly node: WatchedNode
  readonly verdict: Verdict
  readonly row: string
  readonly meaning: string
}

/** Writes changed verdicts and the guard's word; wakes the nodes concerned. False when the claim is no longer ours. */
export async function saveHealthDecision(
  db: Db,
  claim: Claim,
  changed: readonly NewVerdict[],
  guard: string | null,
  now: number,
): Promise<boolean> {
  const saved = await transact(db, async (tx) => {
    if (!(await holds(tx, claim))) return false
    for (const { node, verdict, row, meaning } of changed) {
      await tx
        .updateTable('nodes')
        .set({ verdict, verdict_row: row })
        .$if(verdict !== node.verdict, (q) => q.set({ verdict_since: at(now) }))
        .where('id', '=', node.id)
        .execute()
      await tellEvent(tx, now, {
        kind: 'node.verdict',
        text: `${node.verdict} -> ${verdict} (row ${row}). ${meaning}`,
        nodeId: node.id,
        launchId: node.launchId,
      })
    }
    await saveGuard(tx, guard, now)
    return true
  })
  const ids = changed.map(({ node }) => node.id)
  if (saved) await nudge(db, 'node', ids, now)
  return saved
}

async function saveGuard(tx: Tx, guard: string | null, now: number): Promise<void> {
  const { guard: before } = await tx.selectFrom('install').select('guard').executeTakeFirstOrThrow()
  if (before === guard) return
  await tx.updateTable('install').set({ guard }).execute()
  // Its figures may change with every pass; what is told is that it holds, and that it does no more.
  if (before === null) await tellEvent(tx, now, { kind: 'guard.held', text: `Nothing is released: ${guard}` })
  if (guard === null) await tellEvent(tx, now, { kind: 'guard.lifted', text: 'Dead nodes may be released again.' })
}
