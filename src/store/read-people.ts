import { sql } from 'kysely'
import type { Role } from '../core/tokens.ts'
import type { Db } from './database.ts'

export interface KeyRow {
  readonly id: string
  readonly name: string
  readonly last4: string
  readonly models: string[] | null
  readonly createdBy: string
  readonly createdAt: number
  readonly revokedAt: number | null
}

/** API keys, newest first. The hash stays here. */
export async function readKeys(db: Db, tenantId: string, id?: string): Promise<KeyRow[]> {
  const { rows } = await sql<KeyRow>`
    select id, name, last4, models, created_by as "createdBy", created_at as "createdAt", revoked_at as "revokedAt"
    from api_keys where tenant_id = ${tenantId} ${id === undefined ? sql`` : sql`and id = ${id}`}
    order by created_at desc, id desc`.execute(db)
  return rows
}

export interface OperatorRow {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly last4: string
  readonly createdAt: number
  readonly disabledAt: number | null
}

export async function readOperators(db: Db, tenantId: string, id?: string): Promise<OperatorRow[]> {
  const { rows } = await sql<OperatorRow>`
    select id, name, role, last4, created_at as "createdAt", disabled_at as "disabledAt"
    from operators where tenant_id = ${tenantId} ${id === undefined ? sql`` : sql`and id = ${id}`}
    order by created_at, id`.execute(db)
  return rows
}

/** Names only: a value leaves the store sealed, for a node that joins, and no other way. */
export async function readSecretNames(db: Db, tenantId: string): Promise<{ name: string; createdAt: number }[]> {
  const { rows } = await sql<{ name: string; createdAt: number }>`
    select name, created_at as "createdAt" from secrets where tenant_id = ${tenantId} order by name`.execute(db)
  return rows
}

export interface AuditLine {
  readonly id: number
  readonly at: number
  readonly who: string
  readonly action: string
  readonly target: string
  readonly detail: Record<string, unknown>
  readonly address: string | null
  readonly hash: string
}

export interface AuditWish {
  readonly who?: string | undefined
  /** The whole of an action, or what comes before its dot. */
  readonly action?: string | undefined
  readonly target?: string | undefined
}

/** Newest first, one more than the limit. */
export async function readAudit(
  db: Db,
  { who, action, target }: AuditWish,
  limit: number,
  before: number | null,
): Promise<AuditLine[]> {
  const { rows } = await sql<AuditLine>`
    select id, at, who, action, target, detail, address, hash from audit where true
    ${before === null ? sql`` : sql`and id < ${before}`}
    ${who === undefined ? sql`` : sql`and who = ${who}`}
    ${action === undefined ? sql`` : sql`and (action = ${action} or split_part(action, '.', 1) = ${action})`}
    ${target === undefined ? sql`` : sql`and target = ${target}`}
    order by id desc limit ${limit + 1}`.execute(db)
  return rows
}
