import type { CommandDeps } from '../commands/context.ts'
import { Failure } from '../core/failure.ts'
import {
  deploymentTraffic,
  nodeTraffic,
  readDeploymentSamples,
  readNodeSamples,
  type SampleWish,
  type TrafficSum,
} from '../store/read-samples.ts'
import { nodeIsThere } from '../store/read-told.ts'
import type { TrafficView } from '../wire/samples.ts'
import type { Handlers } from './asked.ts'
import { iso } from './present-time.ts'
import type { Views } from './views.ts'

const spans = {
  hour: { lengthMs: 3_600_000, sampleS: 10, trafficS: 60 },
  day: { lengthMs: 24 * 3_600_000, sampleS: 300, trafficS: 300 },
} as const

/** What graphs show. */
export function samplesHandlers(deps: CommandDeps, views: Views): Handlers<'nodeSamples' | 'deploymentSamples'> {
  const { db } = deps.store
  function wishOf(name: keyof typeof spans) {
    const { lengthMs, sampleS, trafficS } = spans[name]
    const to = deps.clock.now()
    const from = to - lengthMs
    const wish = (spanS: number): SampleWish => ({ spanS, from, to })
    return {
      samples: wish(sampleS),
      traffic: wish(trafficS),
      shown: { from: iso(from), to: iso(to), sampleS, trafficS },
    }
  }
  return {
    async nodeSamples({ actor, id, query }) {
      if (!(await nodeIsThere(db, actor.tenantId, id))) throw new Failure('not_found', `There is no node ${id}.`)
      const { samples, traffic, shown } = wishOf(query.span)
      const [taken, sums] = await Promise.all([readNodeSamples(db, id, samples), nodeTraffic(db, id, traffic)])
      return { ...shown, samples: taken.map(timed), traffic: sums.map((sum) => presentTraffic(sum, traffic.spanS)) }
    },
    async deploymentSamples({ actor, id, query }) {
      const [deployment] = await views.deployments(actor.tenantId, id)
      if (!deployment) throw new Failure('not_found', `There is no deployment ${id}.`)
      const { samples, traffic, shown } = wishOf(query.span)
      const [taken, sums] = await Promise.all([
        readDeploymentSamples(db, id, samples),
        deploymentTraffic(db, id, traffic),
      ])
      return { ...shown, samples: taken.map(timed), traffic: sums.map((sum) => presentTraffic(sum, traffic.spanS)) }
    },
  }
}

const timed = <S extends { readonly at: number }>(sample: S) => ({ ...sample, at: iso(sample.at) })

const mean = (sum: number, count: number): number | null => (count > 0 ? sum / count : null)

function presentTraffic({ at, durationMs, streams, firstTokenMs, ...sum }: TrafficSum, spanS: number): TrafficView {
  return {
    ...sum,
    at: iso(at),
    completionTokensPerS: sum.completionTokens / spanS,
    durationMs: mean(durationMs, sum.requests),
    firstTokenMs: mean(firstTokenMs, streams),
  }
}
