import { sql } from 'kysely'
import type { LaunchView } from '../core/decide-launch.ts'
import { routableVerdicts } from '../core/verdict-table.ts'
import { randomName } from '../lib/chance.ts'
import type { Db, Tx } from './database.ts'

interface SlotUser {
  readonly id: string
  readonly deploymentId: string
  readonly slotId: string
}

/** The lowest slot that nothing holds, made where there is none. The caller holds the deployment's row. */
export async function freeSlot(tx: Tx, deploymentId: string): Promise<string> {
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

/** Of a slot that the launch gave up: another launch may hold it by now, and even serve. */
export async function standingOfSlot(db: Db | Tx, slotId: string, launchId: string): Promise<LaunchView['slot']> {
  const holder = await db
    .selectFrom('launches as l')
    .select([
      'l.state',
      (eb) =>
        eb
          .exists(
            eb
              .selectFrom('nodes as n')
              .select('n.id')
              .whereRef('n.launch_id', '=', 'l.id')
              .where('n.state', '=', 'ready')
              .where('n.verdict', 'in', [...routableVerdicts]),
          )
          .as('serves'),
    ])
    .where('l.slot_id', '=', slotId)
    .where('l.id', '<>', launchId)
    .where('l.holds_slot', '=', true)
    .executeTakeFirst()
  if (!holder) return 'free'
  return holder.state === 'live' && holder.serves ? 'served' : 'taken'
}

/** Asked on the deployment's row, which whoever fills a slot holds as well. */
export async function isStillFree(tx: Tx, { id, deploymentId, slotId }: SlotUser): Promise<boolean> {
  await sql`select 1 from deployments where id = ${deploymentId} for update`.execute(tx)
  return (await standingOfSlot(tx, slotId, id)) === 'free'
}

/** Live launches that gave the slot up: what its holder comes to decides what becomes of them. */
export async function othersOfSlot(tx: Tx, { id, slotId }: SlotUser): Promise<string[]> {
  const others = await tx
    .selectFrom('launches')
    .select('id')
    .where('slot_id', '=', slotId)
    .where('id', '<>', id)
    .where('state', '=', 'live')
    .where('holds_slot', '=', false)
    .execute()
  return others.map((other) => other.id)
}
