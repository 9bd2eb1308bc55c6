import { type RawBuilder, sql } from 'kysely'

/** What was spent, as far as it is closed, and the intervals that run on: the sum at any moment follows from both. */
export interface CostSoFar {
  readonly closedMicroUsd: number
  readonly open: readonly { readonly pricePerHourMicroUsd: number; readonly since: number }[]
}

/** One row of `closedMicroUsd` and `open` over the ledger rows that the condition on `g` picks; for a lateral join. */
export const costOver = (condition: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  select coalesce(sum(g.amount_micro_usd), 0)::bigint as "closedMicroUsd",
    coalesce(json_agg(json_build_object('pricePerHourMicroUsd', g.price_per_hour_micro_usd,
      'since', extract(epoch from g.opened_at) * 1000)) filter (where g.closed_at is null and g.kind = 'usage'), '[]') as open
  from ledger g where ${condition}`
