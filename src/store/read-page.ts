import { type RawBuilder, sql } from 'kysely'
import { at } from './database.ts'

/** Newest first, from after the row that `before` names; a page is found by its key, so rows that come do not shift it. */
export interface PageWish {
  readonly limit: number
  readonly before: { readonly createdAt: number; readonly id: string } | null
}

/** One row more than wanted is read, so that the last page is known to be the last. */
export const oneMore = (page: PageWish): number => page.limit + 1

export function olderThan({ before }: PageWish): RawBuilder<unknown> {
  return before ? sql`and (created_at, id) < (${at(before.createdAt)}, ${before.id})` : sql``
}

export function inDeployment(tenantId: string, idOrName: string | undefined): RawBuilder<unknown> {
  if (idOrName === undefined) return sql``
  return sql`and deployment_id in (
    select id from deployments where tenant_id = ${tenantId} and (id = ${idOrName} or name = ${idOrName}))`
}

export function ofModel(tenantId: string, model: string | undefined): RawBuilder<unknown> {
  if (model === undefined) return sql``
  return sql`and deployment_id in (select id from deployments where tenant_id = ${tenantId} and model = ${model})`
}
