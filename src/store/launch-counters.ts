import { sql } from 'kysely'
import type { LaunchDecision } from '../core/decide-launch.ts'
import { crashCodes, type FailureRecord } from '../core/failure.ts'
import { at, type Tx } from './database.ts'

interface Settled {
  readonly id: string
  readonly deploymentId: string
  readonly origin: string
  readonly wasLive: boolean
}

// Guesses. Who serves for this long is well; what crashed longer ago says little of what crashes now.
const provenMs = 600_000
const lookBackMs = 3_600_000

/**
 * What a step of a launch means for its deployment. A hand launch that failed for good lowers the wanted count again; one
 * of the loop's counts against the deployment, and so does every one that got ready and crashed soon: in a row with those
 * of the last hour, unless another one that got ready within that hour served on.
 */
export async function settleCounters(
  tx: Tx,
  launch: Settled,
  { state, outcome, failure }: Pick<LaunchDecision, 'state' | 'outcome' | 'failure'>,
  now: number,
): Promise<void> {
  const deployment = tx.updateTable('deployments').where('id', '=', launch.deploymentId)
  if (state === 'live')
    await deployment.set({ failures_in_a_row: 0, last_failure_at: null }).where('failures_in_a_row', '>', 0).execute()
  if (state !== 'ending') return
  if (launch.wasLive) return countCrash(tx, launch, failure, now)
  if (outcome !== 'failed' && outcome !== 'timed_out') return
  if (launch.origin === 'hand') await deployment.set({ wanted: sql`greatest(wanted - 1, 0)` }).execute()
  else await deployment.set({ failures_in_a_row: sql`failures_in_a_row + 1`, last_failure_at: at(now) }).execute()
}

const isCrash = (failure: FailureRecord | null): boolean => failure !== null && crashCodes.includes(failure.code)

/** Its row says already how it ended. */
async function countCrash(tx: Tx, launch: Settled, failure: FailureRecord | null, now: number): Promise<void> {
  if (!isCrash(failure)) return
  const { rows } = await sql<{ id: string; livedMs: number; outcome: string | null; failure: FailureRecord | null }>`
    select id, outcome, failure,
      (extract(epoch from case when state = 'live' then ${at(now)} else coalesce(ended_at, state_since) end - live_at)
        * 1000)::float8 as "livedMs"
    from launches where deployment_id = ${launch.deploymentId} and live_at > ${at(now - lookBackMs)}`.execute(tx)
  const isRecent = rows.some(({ id }) => id === launch.id)
  if (!isRecent || rows.some(({ livedMs }) => livedMs >= provenMs)) return
  const crashes = rows.filter(({ outcome, failure }) => outcome === 'ended' && isCrash(failure))
  await tx
    .updateTable('deployments')
    .set({
      failures_in_a_row: sql`greatest(failures_in_a_row + 1, ${crashes.length}::int)`,
      last_failure_at: at(now),
    })
    .where('id', '=', launch.deploymentId)
    .execute()
}
