import { sql } from 'kysely'
import type { FailureRecord } from '../core/failure.ts'
import type { GpuFault } from '../core/gpu-fault.ts'
import type { Guard } from '../core/guard.ts'
import { type Judgement, type Said, type Standing, saidBefore, turned, type Witnesses } from '../core/health.ts'
import type { NodeState } from '../core/node-table.ts'
import { type Claim, holds, nudge } from './claims.ts'
import { at, type Db, json, type Tx } from './database.ts'
import { type Told, tellEvent, tellEvents } from './events.ts'
import { saveGuard } from './guard.ts'
import { transact } from './transact.ts'

export interface WatchedNode {
  readonly id: string
  readonly name: string
  readonly cloud: string
  readonly launchId: string
  readonly deploymentId: string
  /** Its deployment's name. */
  readonly deployment: string
  readonly state: NodeState
  readonly verdictRow: string | null
  readonly standing: Standing
  /** What the witnesses said when it was last judged. */
  readonly said: Said
  readonly witnesses: Witnesses
  /** Its agent said last that it starts the engine anew. */
  readonly restarting: boolean
  readonly replaceAskedAt: number | null
  /** Another launch's node serves in its slot. */
  readonly replaced: boolean
  readonly gpuFaults: readonly GpuFault[]
}

const nodeColumns = [
  'n.id',
  'n.name',
  'n.cloud',
  'n.launch_id',
  'n.deployment_id',
  'n.state',
  'n.verdict',
  'n.verdict_row',
  'n.verdict_since',
  'n.accusations',
  'n.accused_at',
  'n.well_since',
  'n.replace_asked_at',
  'n.signals_judged',
  'n.signals_since',
  'n.failure',
  'n.created_at',
  'n.ready_at',
  'n.gpu_faults',
] as const

/** Every node that has joined and is not on its way out, with the last words of its three witnesses. */
export async function loadWatched(db: Db): Promise<WatchedNode[]> {
  const rows = await db
    .selectFrom('nodes as n')
    .innerJoin('deployments as d', 'd.id', 'n.deployment_id')
    .leftJoin('signals as g', 'g.node_id', 'n.id')
    .leftJoin('sightings as s', 's.name', 'n.name')
    .select(nodeColumns)
    .select('d.name as deployment')
    .select(['g.heard_at', 'g.heartbeat', 'g.probe_at', 'g.probe_good', 's.seen', 's.at'])
    .select(
      sql<boolean>`n.replace_asked_at is not null and exists (
        select from launches own join launches other on other.slot_id = own.slot_id and other.id <> own.id
          and other.holds_slot and other.state = 'live' where own.id = n.launch_id)`.as('replaced'),
    )
    .where('n.state', 'in', ['loading', 'ready', 'draining'])
    .execute()
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    cloud: row.cloud,
    launchId: row.launch_id,
    deploymentId: row.deployment_id,
    deployment: row.deployment,
    state: row.state,
    verdictRow: row.verdict_row,
    standing: {
      verdict: row.verdict,
      since: row.verdict_since ?? row.created_at,
      accusations: row.accusations,
      accusedAt: row.accused_at,
      wellSince: row.well_since,
    },
    said: saidBefore(row.signals_judged, row.signals_since),
    restarting: engineOf(row.heartbeat)?.state === 'starting',
    replaceAskedAt: row.replace_asked_at,
    replaced: row.replaced,
    gpuFaults: row.gpu_faults,
    witnesses: {
      heardAt: row.heard_at,
      failure: row.failure ?? engineOf(row.heartbeat)?.failure ?? null,
      readyAt: row.ready_at,
      probe: row.probe_at === null || row.probe_good === null ? null : { good: row.probe_good, at: row.probe_at },
      sighting: row.seen === null || row.seen === 'asked' || row.at === null ? null : { seen: row.seen, at: row.at },
    },
  }))
}

function engineOf(heartbeat: Record<string, unknown> | null) {
  return heartbeat?.engine as { state?: string; failure?: FailureRecord | null } | undefined
}

export interface Judged {
  readonly node: WatchedNode
  readonly said: Said
  readonly judgement: Judgement
}

export interface HealthDecision {
  readonly judged: readonly Judged[]
  /** Nodes that give up their slot, and those that take it back. */
  readonly replace: { readonly ask: readonly string[]; readonly withdraw: readonly string[] }
  readonly guard: Guard | null
  /** The node whose turn it is to be replaced for a faulty GPU. */
  readonly due: WatchedNode | null
}

/** Writes what changed of the verdicts, and the guard's word; wakes whom it concerns. False when the claim is not ours. */
export async function saveHealthDecision(
  db: Db,
  claim: Claim,
  decision: HealthDecision,
  now: number,
): Promise<boolean> {
  const { judged, replace, guard, due } = decision
  const changed = judged.filter(isNews)
  const concerned = judged.filter(({ node }) => [...replace.ask, ...replace.withdraw].includes(node.id))
  const saved = await transact(db, async (tx) => {
    if (!(await holds(tx, claim))) return false
    await saveVerdicts(tx, changed, now)
    for (const { node } of concerned) await saveReplacement(tx, node, replace.ask.includes(node.id), now)
    if (due) await saveTurn(tx, due, now)
    await saveGuard(tx, guard, now)
    return true
  })
  if (!saved) return false
  const ids = changed
    .filter(({ node, judgement }) => judgement.row.verdict !== node.standing.verdict)
    .map(({ node }) => node.id)
  await nudge(db, 'node', due ? [...ids, due.id] : ids, now)
  const launches = concerned.map(({ node }) => node.launchId)
  await nudge(db, 'launch', launches, now)
  return true
}

const isNews = ({ node: { verdictRow, standing, said: before }, said, judgement }: Judged): boolean =>
  judgement.row.verdict !== standing.verdict ||
  judgement.row.row !== verdictRow ||
  judgement.accusedAt !== standing.accusedAt ||
  judgement.wellSince !== standing.wellSince ||
  turned(before.signals, said.signals).length > 0

/** One statement for all of them: a cloud that is away turns every node at once, and nobody may wait long for their rows. */
async function saveVerdicts(tx: Tx, changed: readonly Judged[], now: number): Promise<void> {
  if (changed.length === 0) return
  const rows = changed.map(({ node: { id }, said, judgement }) => {
    const { row, accusations, accusedAt, wellSince } = judgement
    return { id, verdict: row.verdict, row: row.row, accusations, accusedAt, wellSince, ...said }
  })
  await sql`
    with judged as (
      select * from jsonb_to_recordset(${json(rows)}::jsonb) as j (id text, verdict text, "row" text, accusations integer,
        "accusedAt" double precision, "wellSince" double precision, signals jsonb, since jsonb)),
    locked as (select id from nodes where id in (select id from judged) order by id for update)
    update nodes n set verdict = j.verdict, verdict_row = j."row", accusations = j.accusations,
      accused_at = to_timestamp(j."accusedAt" / 1000), well_since = to_timestamp(j."wellSince" / 1000),
      signals_judged = j.signals, signals_since = j.since,
      verdict_since = case when n.verdict = j.verdict then n.verdict_since else ${at(now)} end
    from judged j join locked using (id) where n.id = j.id`.execute(tx)
  await tellEvents(tx, now, changed.flatMap(newsOf))
}

/** What a node's timeline is told: which witnesses say something else, and what follows from it. */
function newsOf({ node, said, judgement: { row } }: Judged): Told[] {
  const { id: nodeId, launchId, standing } = node
  const before = node.said.signals
  const turns = turned(before, said.signals).map((one) => `${one} ${before[one]} -> ${said.signals[one]}`)
  const signal = { kind: 'node.signal', text: `Signals: ${turns.join(', ')}.`, nodeId, launchId }
  const text = `${standing.verdict} -> ${row.verdict} (row ${row.row}). ${row.meaning}`
  const verdict = { kind: 'node.verdict', text, nodeId, launchId }
  const isNew = row.verdict !== standing.verdict || row.row !== node.verdictRow
  return [...(turns.length > 0 ? [signal] : []), ...(isNew ? [verdict] : [])]
}

async function saveReplacement(tx: Tx, { id, launchId }: WatchedNode, asked: boolean, now: number): Promise<void> {
  await tx
    .updateTable('nodes')
    .set({ replace_asked_at: asked ? at(now) : null })
    .where('id', '=', id)
    .execute()
  await tellEvent(tx, now, {
    kind: asked ? 'node.replace_asked' : 'node.replace_withdrawn',
    text: asked
      ? 'It gives up its slot: another machine is asked for, unless its deployment is paused.'
      : 'It is well again and takes its slot back, unless another machine serves in it by now.',
    nodeId: id,
    launchId,
  })
}

async function saveTurn(tx: Tx, { id: nodeId, launchId }: WatchedNode, now: number): Promise<void> {
  await sql`update nodes set gpu_faults = (
    select jsonb_agg(fault - 'heldBack' order by n) from jsonb_array_elements(gpu_faults) with ordinality as f (fault, n))
    where id = ${nodeId} and gpu_faults <> '[]'`.execute(tx)
  const text =
    'Its turn has come: it gets no requests any more for the fault of its GPU, and another machine is asked for.'
  await tellEvent(tx, now, { kind: 'node.gpu_fault_due', text, nodeId, launchId })
}

/** How many replicas are wanted of each deployment that is acted upon. */
export async function wantedNow(db: Db): Promise<Map<string, number>> {
  const { rows } = await sql<{ id: string; wanted: number }>`
    select d.id, d.wanted from deployments d where not d.paused and not (select paused from install)`.execute(db)
  return new Map(rows.map(({ id, wanted }) => [id, wanted]))
}
