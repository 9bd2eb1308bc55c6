import { sql } from 'kysely'
import { isOver, type LaunchState } from '../core/launch-table.ts'
import { at, type Db, type Tx } from './database.ts'
import { tellEvent } from './events.ts'

/** A person, for whom alone a key of theirs counts. */
export interface Asker {
  readonly tenantId: string
  readonly name: string
}

export interface AskedBefore {
  readonly id: string
  readonly requestHash: string | null
}

export const launchKeyIndex = 'launches_idempotency'

/** The launch that this person already asked for under this key. */
export async function launchAskedBefore(db: Db | Tx, who: Asker, key: string): Promise<AskedBefore | null> {
  const row = await db
    .selectFrom('launches')
    .select(['id', 'request_hash as requestHash'])
    .where('tenant_id', '=', who.tenantId)
    .where('requested_by', '=', who.name)
    .where('idempotency_key', '=', key)
    .executeTakeFirst()
  return row ?? null
}

// Any number that no other advisory lock of ours uses; the second part of the lock is the person.
const launchLimitLock = 7_303

/** How many machines a row of the audit asked for. */
const machinesAsked = sql<number>`case action when 'launch.create' then 1
  when 'deployment.create' then (detail ->> 'wanted')::int
  when 'deployment.scale' then greatest(0, (detail ->> 'to')::int - (detail ->> 'from')::int) else 0 end`

/**
 * When the person may ask for so many machines more, or null for now. What one person does is counted one at a time until
 * the transaction ends, on all servers together.
 */
export async function machinesRoomAt(
  tx: Tx,
  { who, machines, perMinute }: { who: string; machines: number; perMinute: number },
  now: number,
): Promise<number | null> {
  await sql`select pg_advisory_xact_lock(${launchLimitLock}, hashtext(${who}))`.execute(tx)
  const rows = await tx
    .selectFrom('audit')
    .select(['at', machinesAsked.as('asked')])
    .where('who', '=', who)
    .where(sql<boolean>`at > ${at(now - 60_000)} and ${machinesAsked} > 0`)
    .orderBy('at', 'desc')
    .execute()
  let sum = machines
  for (const row of rows) {
    sum += row.asked
    if (sum > perMinute) return row.at + 60_000
  }
  return null
}

/** Launches that wait to be admitted. */
export async function queueLength(db: Db | Tx): Promise<number> {
  const row = await db
    .selectFrom('launches')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('state', '=', 'queued')
    .where('unwanted_at', 'is', null)
    .executeTakeFirst()
  return row?.n ?? 0
}

export interface LockedLaunch {
  readonly id: string
  readonly deploymentId: string
  readonly state: LaunchState
  readonly over: boolean
  /** Somebody withdrew it before, or it is on its way out by itself: its wanted count has been settled then. */
  readonly leaving: boolean
  readonly holdsSlot: boolean
}

/** Holds the launch until the transaction ends; its deployment comes after it, in the order of the launch loop. */
export async function lockLaunch(tx: Tx, tenantId: string, id: string): Promise<LockedLaunch | null> {
  const row = await tx
    .selectFrom('launches')
    .select(['deployment_id', 'state', 'unwanted_at', 'holds_slot'])
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .forUpdate()
    .executeTakeFirst()
  if (!row) return null
  return {
    id,
    deploymentId: row.deployment_id,
    state: row.state,
    over: isOver(row.state),
    leaving: row.unwanted_at !== null || row.state === 'ending',
    holdsSlot: row.holds_slot,
  }
}

/** Says that a launch is not wanted any more, and that one replica less is wanted if it held a slot. */
export async function withdrawLaunch(
  tx: Tx,
  launch: LockedLaunch,
  as: { outcome: 'cancelled' | 'ended'; by: string },
  now: number,
): Promise<void> {
  await tx
    .updateTable('launches')
    .set({ unwanted_at: at(now), unwanted_outcome: as.outcome, unwanted_by: as.by })
    .where('id', '=', launch.id)
    .execute()
  if (launch.holdsSlot) {
    await tx
      .updateTable('deployments')
      .set({ wanted: sql`greatest(wanted - 1, 0)` })
      .where('id', '=', launch.deploymentId)
      .execute()
  }
  await tellEvent(tx, now, {
    kind: as.outcome === 'cancelled' ? 'launch.cancel_asked' : 'launch.end_asked',
    text: `${as.outcome === 'cancelled' ? 'Cancelled' : 'Released'} by ${as.by}.`,
    launchId: launch.id,
    deploymentId: launch.deploymentId,
  })
}
