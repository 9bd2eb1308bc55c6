import { Failure } from '../core/failure.ts'
import type { GuardKind } from '../core/guard.ts'
import { randomName } from '../lib/chance.ts'
import { at, type Db } from './database.ts'

export interface Install {
  readonly id: string
  readonly paused: boolean
  readonly sweepArmed: boolean
}

/** The data set's own row, made on first use. @throws Failure `cannot_start` when the key is not the one that the data set was made with. */
export async function ensureInstall(db: Db, keyCheck: string, now: number): Promise<Install> {
  await db
    .insertInto('install')
    .values({ id: randomName(5), created_at: at(now), key_check: keyCheck })
    .onConflict((oc) => oc.doNothing())
    .execute()
  const row = await db.selectFrom('install').selectAll().executeTakeFirstOrThrow()
  if (row.key_check !== keyCheck) {
    const remedy = 'Put the old secret.key back into the data folder, or set FLIGHTDECK_SECRET_KEY to it.'
    throw new Failure('cannot_start', `The secret key is not the one that install ${row.id} was made with.`, { remedy })
  }
  await db
    .insertInto('tenants')
    .values({ id: 'te-default', name: 'default', created_at: at(now) })
    .onConflict((oc) => oc.doNothing())
    .execute()
  return { id: row.id, paused: row.paused, sweepArmed: row.sweep_armed }
}

export async function loadInstall(db: Db): Promise<Install & { readonly guardKind: GuardKind | null }> {
  const row = await db.selectFrom('install').selectAll().executeTakeFirstOrThrow()
  return { id: row.id, paused: row.paused, sweepArmed: row.sweep_armed, guardKind: row.guard_kind }
}
