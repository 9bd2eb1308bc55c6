import { sql } from 'kysely'
import { admissionOrder, type QueueLoad, type Waiting } from '../core/queue.ts'
import type { Db, Tx } from './database.ts'

/** The queue as it stands: launches in the order of their admission, and what is being tried. */
export interface Queue extends QueueLoad {
  readonly order: readonly Waiting[]
}

export async function lookAtQueue(db: Db | Tx): Promise<Queue> {
  const rows = await db
    .selectFrom('launches')
    .innerJoin('deployments as d', 'd.id', 'launches.deployment_id')
    .select(['launches.id', 'launches.created_at', 'state'])
    // What refills a deployment stands in line for whoever made it: more deployments are no more places.
    .select(sql<string>`case origin when 'deployment' then d.created_by else requested_by end`.as('owner'))
    .select(sql<string | null>`offers->0->>'cloud'`.as('cloud'))
    .where('state', 'in', ['queued', 'attempting', 'backing_off'])
    .where('unwanted_at', 'is', null)
    .execute()
  const queued = rows.filter((row) => row.state === 'queued')
  const flying = rows.filter((row) => row.state !== 'queued')
  const byOwner = new Map<string, number>()
  for (const { owner } of flying) byOwner.set(owner, (byOwner.get(owner) ?? 0) + 1)
  const ids = admissionOrder(
    queued.map((row) => ({ launchId: row.id, owner: row.owner, queuedAt: row.created_at })),
    byOwner,
  )
  const clouds = new Map(queued.map(({ id, cloud }) => [id, cloud]))
  const order = ids.map((launchId) => ({ launchId, cloud: clouds.get(launchId) ?? null }))
  return { order, inFlight: flying.length, ...(await workOfServers(db)) }
}

// A worker was seen to begin within a second; a look in between says nothing.
const waitsMs = 5_000

/**
 * Machines that each cloud's server still works on: its worker is free again about when the agent speaks. And our first
 * place in the server's own queue, where the last look found us waiting there still.
 */
async function workOfServers(db: Db | Tx): Promise<Pick<QueueLoad, 'starting' | 'waiting'>> {
  const waits = sql`nodes.state = 'requesting' and queued_until >= sightings.at
    and queued_until > asked_at + ${waitsMs} * interval '1 millisecond'`
  const rows = await db
    .selectFrom('nodes')
    .leftJoin('sightings', 'sightings.name', 'nodes.name')
    .select(['nodes.cloud', (eb) => eb.fn.countAll<number>().as('n')])
    .select(
      sql<number | null>`min(coalesce((sightings.detail->>'queuePlace')::int, 1)) filter (where ${waits})`.as('place'),
    )
    .where('nodes.state', 'in', ['intended', 'requesting', 'booting'])
    .groupBy('nodes.cloud')
    .execute()
  return {
    starting: new Map(rows.map(({ cloud, n }) => [cloud, n])),
    waiting: new Map(rows.flatMap(({ cloud, place }) => (place === null ? [] : [[cloud, place] as const]))),
  }
}
