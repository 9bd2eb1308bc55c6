import { z } from 'zod'

const time = z.iso.datetime()
const count = z.number().min(0)

/** `hour`: a sample each ten seconds (each minute in a fleet of thousands) and traffic by the minute; `day`: five minutes. */
export const samplesQuery = z.strictObject({ span: z.enum(['hour', 'day']).default('hour') })

/** Requests that ended within `trafficS` from `at` on. Spans in which nothing ended are left out. */
const traffic = z.object({
  at: time,
  requests: count,
  failed: count,
  aborted: count,
  promptTokens: count,
  completionTokens: count,
  completionTokensPerS: count,
  /** Means; null where there was none. To the first token: of streams, from the gateway's first sight of the request. */
  durationMs: count.nullable(),
  firstTokenMs: count.nullable(),
})
export type TrafficView = z.infer<typeof traffic>

const span = {
  from: time,
  to: time,
  /** Seconds between two samples at least, and in each span of traffic. */
  sampleS: count,
  trafficS: count,
  traffic: z.array(traffic),
}

/** Gaps: the node was not heard. Null: its machine or its engine does not say. */
export const nodeSamplesView = z.object({
  ...span,
  samples: z.array(
    z.object({
      at: time,
      inFlight: count,
      waiting: count.nullable(),
      kvPercent: count.nullable(),
      gpuPercent: count.nullable(),
      gpuUsedMib: count.nullable(),
    }),
  ),
})
export type NodeSamplesView = z.infer<typeof nodeSamplesView>

export const deploymentSamplesView = z.object({
  ...span,
  samples: z.array(z.object({ at: time, wanted: count, ready: count, inFlight: count, waiting: count.nullable() })),
})
export type DeploymentSamplesView = z.infer<typeof deploymentSamplesView>
