import { type Metrics, makeMetrics } from '../lib/metrics.ts'
import type { Router } from './route.ts'
import type { Spent } from './usage.ts'

const prefix = 'flightdeck_gateway_'

/** Upper bounds in seconds: from a cached token to the ten minutes after which clients give up. */
const durationBounds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]

interface ModelCounts {
  ok: number
  failed: number
  aborted: number
  promptTokens: number
  completionTokens: number
}

/**
 * Plain numbers on the hot path; they become Prometheus metrics when someone asks. Labels are models of the table and
 * fixed words only, never what a client sent.
 */
export class GatewayMetrics {
  retries = 0
  /** Requests whose usage was thrown away because control was away for too long. */
  lostUsage = 0
  /** Nodes that were taken away because requests failed at them. */
  ejections = 0
  readonly #models = new Map<string, ModelCounts>()
  readonly #refusals = new Map<number, number>()
  readonly #buckets = new Array<number>(durationBounds.length + 1).fill(0)
  #durationSum = 0

  finished(spent: Spent) {
    const counts = this.#of(spent.model)
    counts[spent.outcome] += 1
    counts.promptTokens += spent.promptTokens
    counts.completionTokens += spent.completionTokens
    const seconds = spent.durationMs / 1_000
    this.#durationSum += seconds
    const place = durationBounds.findIndex((bound) => seconds <= bound)
    const bucket = place < 0 ? durationBounds.length : place
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1
  }

  refused(status: number) {
    this.#refusals.set(status, (this.#refusals.get(status) ?? 0) + 1)
  }

  #of(model: string): ModelCounts {
    const known = this.#models.get(model)
    if (known) return known
    const counts = { ok: 0, failed: 0, aborted: 0, promptTokens: 0, completionTokens: 0 }
    this.#models.set(model, counts)
    return counts
  }

  /** The page as of now. */
  async page(router: Router, controlAway: boolean): Promise<{ contentType: string; text: string }> {
    const metrics = makeMetrics(prefix)
    this.#requests(metrics)
    this.#nodes(metrics, router)
    metrics.gauge('control_up', 'Whether control answered the last time.').set(controlAway ? 0 : 1)
    metrics
      .counter('retries_total', 'Requests given to another node or socket before the first byte.')
      .inc(this.retries)
    metrics
      .counter('ejections_total', 'Nodes that got no more requests because these failed one after another.')
      .inc(this.ejections)
    metrics
      .counter('usage_lost_total', 'Requests whose usage could not be kept while control was away.')
      .inc(this.lostUsage)
    const { contentType, text } = await metrics.page()
    return { contentType, text: text + this.#durations() }
  }

  #requests(metrics: Metrics) {
    const requests = metrics.counter('requests_total', 'Requests that were given to nodes.', ['model', 'outcome'])
    const tokens = metrics.counter('tokens_total', 'Tokens, as engines counted them or estimated.', ['model', 'kind'])
    const refusals = metrics.counter('refusals_total', 'Errors that the gateway answered itself.', ['status'])
    for (const [model, counts] of this.#models) {
      for (const outcome of ['ok', 'failed', 'aborted'] as const) requests.inc({ model, outcome }, counts[outcome])
      tokens.inc({ model, kind: 'prompt' }, counts.promptTokens)
      tokens.inc({ model, kind: 'completion' }, counts.completionTokens)
    }
    for (const [status, count] of this.#refusals) refusals.inc({ status: String(status) }, count)
  }

  #nodes(metrics: Metrics, router: Router) {
    const inFlight = metrics.gauge('in_flight', 'Requests that a node has now.', ['node'])
    const sockets = metrics.gauge('sockets', 'Connections to a node.', ['node'])
    const direct = metrics.gauge('direct_sockets', 'Of them, those to its own address.', ['node'])
    const spares = metrics.gauge('spare_sockets', 'Of them, those that carry nothing.', ['node'])
    const waiting = metrics.gauge('waiting', 'Requests that wait for a spare socket of a node.', ['node'])
    const routable = metrics.gauge('routable', 'Whether a node is to get requests.', ['node'])
    const ejected = metrics.gauge('ejected', 'Whether a node gets no requests because these failed.', ['node'])
    for (const pool of router.pools.values()) {
      const node = pool.node.name
      ejected.set({ node }, pool.ejectedUntil === null ? 0 : 1)
      inFlight.set({ node }, pool.inFlight)
      sockets.set({ node }, pool.sockets.size)
      direct.set({ node }, pool.directCount)
      spares.set({ node }, pool.spares)
      waiting.set({ node }, pool.waiting)
      routable.set({ node }, pool.routable ? 1 : 0)
    }
  }

  /** Written by hand: a histogram of the library is fed one by one, which is what the hot path avoids. */
  #durations(): string {
    const name = `${prefix}request_seconds`
    let sum = 0
    const lines = this.#buckets.map((count, i) => {
      sum += count
      return `${name}_bucket{le="${durationBounds[i] ?? '+Inf'}"} ${sum}`
    })
    const help = `# HELP ${name} From the choice of a node to the last byte.\n# TYPE ${name} histogram`
    return `${help}\n${lines.join('\n')}\n${name}_sum ${this.#durationSum}\n${name}_count ${sum}\n`
  }
}
