import type { SimCloud } from '../src/sim/cloud.ts'
import type { Db } from '../src/store/database.ts'
import { ledgerFaults } from '../src/store/ledger.ts'

export type FleetNode = Awaited<ReturnType<typeof nodesOf>>[number]

/** Every node that a deployment ever had, with how its launch stands to its slot; oldest first. */
export function nodesOf(db: Db, deploymentId: string) {
  return db
    .selectFrom('nodes as n')
    .innerJoin('launches as l', 'l.id', 'n.launch_id')
    .select(['n.id', 'n.name', 'n.state', 'n.verdict', 'n.unwanted_at as unwantedAt', 'n.ready_at as readyAt'])
    .select(['n.first_seen_at as firstSeenAt', 'l.slot_id as slotId', 'l.holds_slot as holdsSlot'])
    .where('n.deployment_id', '=', deploymentId)
    .orderBy('n.created_at')
    .orderBy('n.id')
    .execute()
}

/** What must never be so, at no moment, in words; empty when all is well. */
export async function fleetFaults(db: Db, deploymentId: string, cloud: SimCloud): Promise<string[]> {
  const nodes = await nodesOf(db, deploymentId)
  const holders = await db
    .selectFrom('launches')
    .select('slot_id')
    .where('deployment_id', '=', deploymentId)
    .where('holds_slot', '=', true)
    .execute()
  const known = new Set(nodes.map(({ name }) => name))
  return [
    ...twice(holders.map((holder) => holder.slot_id)).map((slot) => `two launches hold ${slot}`),
    ...twice(enginesOf(nodes, cloud).map(({ slotId }) => slotId)).map((slot) => `two engines run for ${slot}`),
    ...[...cloud.machines.keys()].filter((name) => !known.has(name)).map((name) => `no row knows ${name}`),
    ...[...cloud.made].filter(([, times]) => times > 1).map(([name, times]) => `${name} was made ${times} times`),
    ...(await accountFaults(db, nodes)),
  ]
}

/** Machines that run for a slot: neither asked to end, nor of a slot that was given up. */
const enginesOf = (nodes: readonly FleetNode[], { machines }: SimCloud): FleetNode[] =>
  nodes.filter(
    ({ name, state, unwantedAt, holdsSlot }) =>
      holdsSlot && unwantedAt === null && state !== 'releasing' && state !== 'gone' && machines.has(name),
  )

/** Every second of a machine is counted once: intervals of a node meet, and the open one is what its state asks for. */
async function accountFaults(db: Db, nodes: readonly FleetNode[]): Promise<string[]> {
  const ids = nodes.map(({ id }) => id)
  if (ids.length === 0) return []
  const lines = await db
    .selectFrom('ledger')
    .select(['node_id', 'opened_at', 'closed_at'])
    .where('node_id', 'in', ids)
    .orderBy('id')
    .execute()
  const unmet = nodes.flatMap(({ id, firstSeenAt }) => {
    const mine = lines.filter((line) => line.node_id === id)
    const from = mine.map((line) => line.opened_at)
    const to = [firstSeenAt, ...mine.map((line) => line.closed_at)]
    return from.flatMap((at, i) => (at === to[i] ? [] : [`${id} is billed from ${at}, after ${to[i]}`]))
  })
  const open = (await ledgerFaults(db)).filter(({ nodeId }) => ids.includes(nodeId))
  return [...unmet, ...open.map(({ nodeId, what }) => `${nodeId}: ${what}`)]
}

const twice = (values: readonly string[]): string[] =>
  [...new Set(values)].filter((value) => values.indexOf(value) !== values.lastIndexOf(value))
