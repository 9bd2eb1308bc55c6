import { at, type Db, maybeJson, type Tx } from './database.ts'

export interface Told {
  readonly kind: string
  readonly text: string
  readonly launchId?: string | null
  readonly nodeId?: string | null
  readonly deploymentId?: string | null
  readonly data?: Record<string, unknown>
}

/** One line in the timelines of what it names. Written with the change that it tells of, in the same transaction. */
export const tellEvent = (db: Db | Tx, now: number, told: Told): Promise<void> => tellEvents(db, now, [told])

// A statement has at most 65,535 parameters.
const atOnce = 1_000

export async function tellEvents(db: Db | Tx, now: number, all: readonly Told[]): Promise<void> {
  for (let i = 0; i < all.length; i += atOnce) {
    const rows = all.slice(i, i + atOnce).map((told) => ({
      at: at(now),
      kind: told.kind,
      text: told.text.slice(0, 4_000),
      launch_id: told.launchId ?? null,
      node_id: told.nodeId ?? null,
      deployment_id: told.deploymentId ?? null,
      data: maybeJson(told.data),
    }))
    await db.insertInto('events').values(rows).execute()
  }
}
