import { sql } from 'kysely'
import type { Db } from './database.ts'

export interface EventRow {
  readonly id: number
  readonly at: number
  readonly kind: string
  readonly text: string
  readonly launchId: string | null
  readonly nodeId: string | null
}

export interface LineRow {
  readonly n: number
  readonly at: number
  readonly source: 'engine' | 'agent'
  readonly text: string
}

// What one answer may carry; where there is more, the beginning is cut off.
export const mostEvents = 2_000
const mostLines = 20_000

/** The last events of a node or a launch, oldest first; where some are left out, the first says how many. */
export async function readTimeline(db: Db, of: { nodeId: string } | { launchId: string }): Promise<EventRow[]> {
  const which = 'nodeId' in of ? sql`node_id = ${of.nodeId}` : sql`launch_id = ${of.launchId}`
  const { rows } = await sql<EventRow>`
    select id, at, kind, text, launch_id as "launchId", node_id as "nodeId" from events
    where ${which} order by id desc limit ${mostEvents}`.execute(db)
  const oldest = rows.at(-1)
  if (oldest === undefined || rows.length < mostEvents) return rows.reverse()
  const earlier = await sql<{ count: number }>`
    select count(*)::int as count from events where ${which} and id < ${oldest.id}`.execute(db)
  const count = earlier.rows[0]?.count ?? 0
  const leftOut = { ...oldest, id: 0, kind: 'left_out', text: `Earlier events that are not shown: ${count}.` }
  return count === 0 ? rows.reverse() : [leftOut, ...rows.reverse()]
}

/** Everything that the nodes of a launch printed, in the order of time. */
export async function readLaunchLines(db: Db, launchId: string): Promise<LineRow[]> {
  const { rows } = await sql<LineRow>`
    select g.n, g.at, g.source, g.text from log_lines g join nodes n on n.id = g.node_id
    where n.launch_id = ${launchId} order by n.created_at desc, g.n desc limit ${mostLines}`.execute(db)
  return rows.reverse()
}

export async function nodeIsThere(db: Db, tenantId: string, nodeId: string): Promise<boolean> {
  const { rows } = await sql`select 1 from nodes where id = ${nodeId} and tenant_id = ${tenantId}`.execute(db)
  return rows.length > 0
}

/** The last lines of a node, oldest first. */
export async function readLastLines(db: Db, nodeId: string, limit: number): Promise<LineRow[]> {
  const { rows } = await sql<LineRow>`
    select n, at, source, text from log_lines where node_id = ${nodeId} order by n desc limit ${limit}`.execute(db)
  return rows.reverse()
}

/** The lines that follow number `after`, oldest first. */
export async function readLinesAfter(db: Db, nodeId: string, after: number, limit: number): Promise<LineRow[]> {
  const { rows } = await sql<LineRow>`
    select n, at, source, text from log_lines where node_id = ${nodeId} and n > ${after} order by n limit ${limit}`.execute(
    db,
  )
  return rows
}
