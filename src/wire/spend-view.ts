import { z } from 'zod'
import { duties } from '../core/ledger.ts'

const time = z.iso.datetime()
const microUsd = z.number().int()
const count = z.number().int().min(0)

export const spendView = z.object({
  from: time,
  to: time,
  totalMicroUsd: microUsd,
  burnPerHourMicroUsd: microUsd,
  byDuty: z.record(z.enum(duties), microUsd),
  /** Of the total: attempts that never served. */
  failedMicroUsd: microUsd,
  /** Of the serving money: time without a request in flight. */
  idleMicroUsd: microUsd,
  promptTokens: count,
  completionTokens: count,
  /** Money over million tokens; null without tokens. */
  perMillionTokensMicroUsd: microUsd.nullable(),
  perMillionTokensBusyMicroUsd: microUsd.nullable(),
  byDeployment: z.array(z.object({ deployment: z.string().max(64), totalMicroUsd: microUsd })),
})
export type SpendView = z.infer<typeof spendView>
