import { sql } from 'kysely'
import type { DeploymentDecision, DeploymentView } from '../core/decide-deployment.ts'
import type { OwnModel } from '../core/engine-command.ts'
import type { EngineArguments } from '../core/engine-presets.ts'
import type { LaunchState } from '../core/launch-table.ts'
import type { LaunchTime } from '../core/launch-time.ts'
import type { RankedOffer, Wish } from '../core/offer.ts'
import { routableVerdicts } from '../core/verdict-table.ts'
import { type Claim, holds, nudge } from './claims.ts'
import { at, type Db, type Tx } from './database.ts'
import { tellEvent } from './events.ts'
import { openAtGateways } from './gateways.ts'
import { openLaunch } from './launches.ts'
import { ownModelIn } from './model-source.ts'
import { transact } from './transact.ts'

export interface DeploymentForLoop {
  readonly id: string
  readonly tenantId: string
  readonly name: string
  readonly model: string
  readonly own: OwnModel | null
  readonly engineArgs: EngineArguments
  readonly wish: Wish
  readonly timeLimitS: number | null
  readonly concurrency: number | null
  readonly view: DeploymentView
}

interface SlotRow {
  readonly launchId: string
  readonly slotId: string
  readonly state: LaunchState
  readonly holds: boolean
  /** It serves without a slot because its node is accused. */
  readonly doubted: boolean
  readonly unwanted: boolean
  readonly seen: boolean
  readonly serves: boolean
  /**
   * As the gateways count them, or its agent does: whoever counts more. Only of those that speak: the last word of one that
   * is silent would keep the machine for ever.
   */
  readonly inFlight: number
}

/** A deployment with the launches that hold its slots, oldest first, and those that serve and have given theirs up. */
export async function loadDeployment(
  db: Db | Tx,
  id: string,
  stopAfterFailures: number,
  now: number,
): Promise<DeploymentForLoop | null> {
  const row = await db.selectFrom('deployments').selectAll().where('id', '=', id).executeTakeFirst()
  if (!row) return null
  const { rows: launches } = await sql<SlotRow>`
    select l.id as "launchId", l.slot_id as "slotId", l.state, l.holds_slot as holds, l.unwanted_at is not null as unwanted,
      exists (select from nodes n where n.launch_id = l.id and n.first_seen_at is not null
        and n.state <> 'gone') as seen,
      coalesce(w.serves, false) as serves, coalesce(w.in_flight, 0) as "inFlight", coalesce(w.doubted, false) as doubted
    from launches l
    left join lateral (
      select n.state = 'ready' and n.verdict = any(${[...routableVerdicts]}) as serves,
        greatest(case when n.signals_judged->>'heartbeat' = 'good' then g.in_flight end, ${openAtGateways(now)}) as in_flight,
        n.replace_asked_at is not null as doubted
      from nodes n left join signals g on g.node_id = n.id
      where n.launch_id = l.id and n.state in ('ready', 'draining') limit 1) w on true
    where l.deployment_id = ${id} and (l.holds_slot or (l.state = 'live' and l.unwanted_at is null
      and exists (select from nodes n where n.launch_id = l.id and n.state = 'ready')))
    order by l.created_at`.execute(db)
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    model: row.model,
    own: ownModelIn(row),
    engineArgs: row.engine_args,
    wish: row.wish,
    timeLimitS: row.time_limit_s,
    concurrency: row.concurrency,
    view: {
      wanted: row.wanted,
      paused: row.paused,
      failuresInARow: row.failures_in_a_row,
      lastFailureAt: row.last_failure_at,
      stopAfterFailures,
      holders: launches
        .filter(({ holds: holdsSlot }) => holdsSlot)
        .map(({ launchId, slotId, state, unwanted, seen, serves, inFlight }) => ({
          launchId,
          slotId,
          live: state === 'live',
          // One that ends by itself is on its way out as well: nothing else is to be withdrawn in its stead.
          unwanted: unwanted || state === 'ending',
          seen,
          serves,
          inFlight,
        })),
      returned: launches.filter((launch) => !launch.holds && !launch.doubted),
      doubted: launches.filter((launch) => !launch.holds && launch.doubted),
    },
  }
}

export interface Refill {
  readonly offers: readonly RankedOffer[]
  readonly time: LaunchTime
  readonly decide: (view: DeploymentView) => DeploymentDecision
  readonly stopAfterFailures: number
}

/**
 * Fills and empties slots as decided. The decision is made again on the locked row, because a launch by hand may have
 * filled the slot since we looked. False when the claim is no longer ours.
 */
export async function saveDeploymentDecision(db: Db, claim: Claim, refill: Refill, now: number): Promise<boolean> {
  const withdrawn = await transact(db, async (tx) => {
    await sql`select 1 from deployments where id = ${claim.rowId} for update`.execute(tx)
    if (!(await holds(tx, claim))) return null
    const deployment = await loadDeployment(tx, claim.rowId, refill.stopAfterFailures, now)
    if (!deployment) return []
    const { fill, withdraw } = refill.decide(deployment.view)
    for (let i = 0; i < fill && refill.offers.length > 0; i++) {
      const { id: deploymentId, tenantId, wish, timeLimitS, concurrency } = deployment
      await openLaunch(
        tx,
        {
          tenantId,
          deploymentId,
          wish,
          timeLimitS,
          concurrency,
          offers: refill.offers,
          time: refill.time,
          origin: 'deployment',
          requestedBy: `deployment:${deployment.name}`,
        },
        now,
      )
    }
    if (withdraw.length > 0) await withdrawLaunches(tx, deployment, withdraw, now)
    return withdraw
  })
  if (withdrawn) await nudge(db, 'launch', withdrawn, now)
  return withdrawn !== null
}

async function withdrawLaunches(
  tx: Tx,
  deployment: DeploymentForLoop,
  launchIds: readonly string[],
  now: number,
): Promise<void> {
  await tx
    .updateTable('launches')
    .set({ unwanted_at: at(now), unwanted_outcome: 'ended', unwanted_by: `deployment:${deployment.name}` })
    .where('id', 'in', [...launchIds])
    .where('unwanted_at', 'is', null)
    .execute()
  for (const launchId of launchIds) {
    await tellEvent(tx, now, {
      kind: 'launch.withdrawn',
      text: 'The deployment needs fewer replicas.',
      launchId,
      deploymentId: deployment.id,
    })
  }
}
