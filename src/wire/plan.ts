import { z } from 'zod'
import { hubTokens } from '../core/catalog.ts'
import { failureSchema } from './agent.ts'
import { fitView } from './catalog.ts'
import { cloudOffers, offerNow } from './views.ts'

const text = (max: number) => z.string().max(max)
const microUsd = z.number().int()
const count = z.number().int().min(0)

const setupView = z.object({
  way: z.enum(['recipe', 'image']),
  name: text(512),
  ms: count,
  /** From past launches on this cloud; else it is a guess. */
  measured: z.boolean(),
  costMicroUsd: microUsd,
})
export type SetupView = z.infer<typeof setupView>

/** How the engine gets onto the machine, and what the other way would cost; null: it is there, or there is none. */
const setupsView = z.object({ does: setupView.nullable(), instead: setupView.nullable() })

/** How long launches of the model took on that cloud until they served, and what the machine costs until then. */
const readyInView = z.object({ ms: count, costMicroUsd: microUsd })
export type ReadyInView = z.infer<typeof readyInView>

const plannedOffer = offerNow.extend({
  fit: fitView.nullable(),
  unchecked: text(500).nullable(),
  setups: setupsView,
  /** Null where no past launch tells. */
  readyIn: readyInView.nullable(),
  pricePerMonthMicroUsd: microUsd,
  /** Of all replicas, where each is taken here. */
  totalPerHourMicroUsd: microUsd,
  totalPerMonthMicroUsd: microUsd,
  /** Why it stands at this place, in the order in which it is decided; of those alike the cheaper comes first. */
  reasons: z.array(text(500)),
  /** The last attempt in that cloud and region for that GPU that failed within the last hours, of this tenant. */
  lately: z.object({ at: z.iso.datetime(), launchId: text(64), failure: failureSchema }).nullable(),
})

/** What a launch would do and cost, before money is spent. */
export const planView = z.object({
  model: text(256),
  engine: text(32),
  argv: z.array(text(4_096)),
  deployment: text(64),
  /** What becomes of it: made (`id` null), or extended. Null: it does not take this, and `refusals` says why and what to do. */
  becomes: z.object({ id: text(64).nullable(), wantedFrom: count, wantedTo: count }).nullable(),
  /** Those that would be tried, in that order; then those whose GPUs cannot hold the model. */
  offers: z.array(plannedOffer),
  /** Why a launch would be refused as things stand; none where it would be queued. */
  refusals: z.array(failureSchema),
  /** Whether the model's weights are given out only with a token, and one is there. */
  hubToken: z.enum(hubTokens),
  /** The wished clouds. */
  clouds: z.array(cloudOffers),
  pricePerHourMicroUsd: microUsd,
  pricePerMonthMicroUsd: microUsd,
  replicas: count,
  /** Of all replicas, at the first offer. */
  totalPerHourMicroUsd: microUsd,
  totalPerMonthMicroUsd: microUsd,
  timeLimitS: count,
  /** False: neither our queue nor that of a cloud's server costs any of it. */
  timeLimitCountsWaits: z.boolean(),
  queuePlace: count,
  /** What may go wrong on the machines of the offers, and what to do before. */
  warnings: z.array(text(1_024)).default([]),
})
export type PlannedOffer = z.infer<typeof plannedOffer>
export type PlanView = z.infer<typeof planView>
