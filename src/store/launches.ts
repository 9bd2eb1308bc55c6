import { sql } from 'kysely'
import type { Offer, Wish } from '../core/offer.ts'
import { randomName } from '../lib/chance.ts'
import { enrol } from './claims.ts'
import { at, json, type Tx } from './database.ts'
import { tellEvent } from './events.ts'

export interface NewLaunch {
  readonly tenantId: string
  readonly deploymentId: string
  readonly origin: 'hand' | 'deployment'
  readonly requestedBy: string
  readonly wish: Wish
  /** In ranked order; an attempt is made at one of them. */
  readonly offers: readonly Offer[]
  readonly deadlineAt: number
  readonly idempotencyKey?: string | null
  readonly requestHash?: string | null
}

/**
 * Writes a queued launch that holds the lowest free slot of its deployment, and puts it under the launch loop's care.
 * The caller holds the deployment's row, so two callers cannot take one slot; the unique index is the last word.
 */
export async function openLaunch(tx: Tx, launch: NewLaunch, now: number): Promise<string> {
  const id = `la-${randomName(10)}`
  const slotId = await freeSlot(tx, launch.deploymentId)
  await tx
    .insertInto('launches')
    .values({
      id,
      tenant_id: launch.tenantId,
      deployment_id: launch.deploymentId,
      slot_id: slotId,
      state: 'queued',
      state_since: at(now),
      origin: launch.origin,
      requested_by: launch.requestedBy,
      idempotency_key: launch.idempotencyKey ?? null,
      request_hash: launch.requestHash ?? null,
      wish: json(launch.wish),
      offers: json(launch.offers),
      created_at: at(now),
      deadline_at: at(launch.deadlineAt),
    })
    .execute()
  const by = launch.origin === 'hand' ? launch.requestedBy : 'the deployment loop'
  await tellEvent(tx, now, {
    kind: 'launch.queued',
    text: `Queued by ${by}.`,
    launchId: id,
    deploymentId: launch.deploymentId,
  })
  await enrol(tx, 'launch', id, now)
  return id
}

async function freeSlot(tx: Tx, deploymentId: string): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    select id from slots s where deployment_id = ${deploymentId}
      and not exists (select 1 from launches l where l.slot_id = s.id and l.holds_slot)
    order by ordinal limit 1`.execute(tx)
  if (rows[0]) return rows[0].id
  const id = `sl-${randomName(10)}`
  await sql`insert into slots (id, deployment_id, ordinal)
    select ${id}, ${deploymentId}, coalesce(max(ordinal), 0) + 1 from slots where deployment_id = ${deploymentId}`.execute(
    tx,
  )
  return id
}
