import { sql } from 'kysely'
import type { Db } from './database.ts'

/** A text of a cloud that no rule of ours knows, with how often it came. */
export interface UnknownFailureRow {
  readonly cloud: string
  readonly evidence: string
  readonly times: number
  readonly firstAt: number
  readonly lastAt: number
  /** The last launch that met it. */
  readonly launchId: string
}

const mostTexts = 500

/** What clouds said that nobody has seen before, the latest first: the attempts themselves keep it. */
export async function readUnknownFailures(db: Db, tenantId: string): Promise<UnknownFailureRow[]> {
  const { rows } = await sql<UnknownFailureRow>`
    select a.offer->>'cloud' as cloud, a.failure->>'evidence' as evidence, count(*) as times,
      min(a.closed_at) as "firstAt", max(a.closed_at) as "lastAt",
      (array_agg(a.launch_id order by a.closed_at desc))[1] as "launchId"
    from attempts a join launches l on l.id = a.launch_id
    where l.tenant_id = ${tenantId} and a.failure->>'code' = 'cloud_unknown' and a.failure->>'evidence' is not null
    group by 1, 2 order by max(a.closed_at) desc limit ${mostTexts}`.execute(db)
  return rows
}
