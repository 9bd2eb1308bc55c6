import { sql } from 'kysely'
import { type Duty, ledgerDuty } from '../core/ledger.ts'
import { costMicroUsd } from '../core/money.ts'
import type { NodeState } from '../core/node-table.ts'
import { at, type Db, type Tx } from './database.ts'

export interface BilledNode {
  readonly id: string
  readonly state: NodeState
  readonly firstSeenAt: number | null
}

/**
 * Brings the open interval of a node in line with its state, in the transaction that changes the state: intervals
 * meet exactly, so a node's seconds are counted once. The price is the one that was frozen with the node.
 */
export async function settleLedger(tx: Tx, node: BilledNode, now: number): Promise<void> {
  const duty = ledgerDuty(node.state, node.firstSeenAt)
  const last = await tx
    .selectFrom('ledger')
    .select(['id', 'duty', 'opened_at', 'closed_at', 'price_per_hour_micro_usd'])
    .where('node_id', '=', node.id)
    .where('kind', '=', 'usage')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  const open = last && last.closed_at === null ? last : null
  if (open && open.duty === duty) return
  // A clock that was set back bills nothing for the time that it repeats, and takes nothing back.
  const closedAt = Math.max(now, open?.opened_at ?? now)
  if (open) {
    const amount = costMicroUsd(open.price_per_hour_micro_usd, closedAt - open.opened_at)
    await tx
      .updateTable('ledger')
      .set({ closed_at: at(closedAt), amount_micro_usd: amount })
      .where('id', '=', open.id)
      .execute()
  }
  if (duty === null || node.firstSeenAt === null) return
  // A machine that shows up after `gone` was there all along: its bill goes on from where it was closed.
  const openedAt = open ? closedAt : (last?.closed_at ?? node.firstSeenAt)
  await openInterval(
    tx,
    node.id,
    duty,
    openedAt,
    last && !open ? 'The machine showed up after the cloud had called it gone.' : null,
  )
}

async function openInterval(tx: Tx, nodeId: string, duty: Duty, openedAt: number, note: string | null) {
  await tx
    .insertInto('ledger')
    .columns([
      'node_id',
      'launch_id',
      'deployment_id',
      'tenant_id',
      'requested_by',
      'cloud',
      'region',
      'instance_type',
      'spot',
      'price_per_hour_micro_usd',
      'duty',
      'opened_at',
      'note',
    ])
    .expression((eb) =>
      eb
        .selectFrom('nodes as n')
        .innerJoin('launches as l', 'l.id', 'n.launch_id')
        .select([
          'n.id',
          'n.launch_id',
          'n.deployment_id',
          'n.tenant_id',
          'l.requested_by',
          'n.cloud',
          'n.region',
          'n.instance_type',
          'n.spot',
          'n.price_per_hour_micro_usd',
        ])
        .select((s) => [
          s.val(duty).as('duty'),
          s.cast<number>(s.val(at(openedAt)), 'timestamptz').as('opened_at'),
          s.val(note).as('note'),
        ])
        .where('n.id', '=', nodeId),
    )
    .execute()
}

/**
 * Takes back what was counted of a machine, or what was taken back of it before: by rows of their own, one for each duty,
 * so that what was counted stays to be seen. Returns the sum.
 */
export async function correctLedger(
  tx: Tx,
  nodeId: string,
  { of, note }: { readonly of: 'usage' | 'correction'; readonly note: string },
  now: number,
): Promise<number> {
  const { rows } = await sql<{ amount: number }>`
    insert into ledger (node_id, launch_id, deployment_id, tenant_id, requested_by, cloud, region, instance_type, spot, kind,
      duty, price_per_hour_micro_usd, opened_at, closed_at, amount_micro_usd, note)
    select node_id, launch_id, deployment_id, tenant_id, requested_by, cloud, region, max(instance_type), spot, 'correction',
      duty, price_per_hour_micro_usd, ${at(now)}::timestamptz, ${at(now)}::timestamptz, -sum(amount_micro_usd), ${note}
    from ledger where node_id = ${nodeId} and kind = ${of}
    group by node_id, launch_id, deployment_id, tenant_id, requested_by, cloud, region, spot, duty, price_per_hour_micro_usd
    having sum(amount_micro_usd) <> 0 returning amount_micro_usd as amount`.execute(tx)
  return rows.reduce((sum, { amount }) => sum + amount, 0)
}

export interface LedgerFault {
  readonly nodeId: string
  readonly what: string
}

/** Nodes whose ledger disagrees with their state: billed and not counted, or counted and not billed. */
export async function ledgerFaults(db: Db): Promise<LedgerFault[]> {
  const rows = await db
    .selectFrom('nodes as n')
    .leftJoin('ledger as g', (join) =>
      join.onRef('g.node_id', '=', 'n.id').on('g.closed_at', 'is', null).on('g.kind', '=', 'usage'),
    )
    .select(['n.id', 'n.state', 'n.first_seen_at', 'g.duty'])
    .where((eb) => eb.or([eb('n.state', '<>', 'gone'), eb('g.id', 'is not', null)]))
    .execute()
  return rows
    .map((row) => ({ nodeId: row.id, has: row.duty, wants: ledgerDuty(row.state, row.first_seen_at) }))
    .filter(({ has, wants }) => has !== wants)
    .map(({ nodeId, has, wants }) => ({
      nodeId,
      what: `the open interval is ${has ?? 'missing'}, its state asks for ${wants ?? 'none'}`,
    }))
}
