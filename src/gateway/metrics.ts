import { Counter, Gauge, Registry } from 'prom-client'
import type { Router } from './route.ts'
import type { Spent } from './usage.ts'

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
    const registry = new Registry()
    this.#requests(registry)
    this.#nodes(registry, router)
    const single = (name: string, help: string, value: number) =>
      new Gauge({ name: `flightdeck_gateway_${name}`, help, registers: [registry] }).set(value)
    single('control_up', 'Whether control answered the last time.', controlAway ? 0 : 1)
    const total = (name: string, help: string, value: number) =>
      new Counter({ name: `flightdeck_gateway_${name}_total`, help, registers: [registry] }).inc(value)
    total('retries', 'Requests given to another node or socket before the first byte.', this.retries)
    total('usage_lost', 'Requests whose usage could not be kept while control was away.', this.lostUsage)
    return { contentType: registry.contentType, text: (await registry.metrics()) + this.#durations() }
  }

  #requests(registry: Registry) {
    const registers = [registry]
    const name = 'flightdeck_gateway'
    const requests = new Counter({
      name: `${name}_requests_total`,
      help: 'Requests that were given to nodes.',
      labelNames: ['model', 'outcome'],
      registers,
    })
    const tokens = new Counter({
      name: `${name}_tokens_total`,
      help: 'Tokens, as engines counted them or estimated.',
      labelNames: ['model', 'kind'],
      registers,
    })
    const refused = new Counter({
      name: `${name}_refusals_total`,
      help: 'Errors that the gateway answered itself.',
      labelNames: ['status'],
      registers,
    })
    for (const [model, counts] of this.#models) {
      for (const outcome of ['ok', 'failed', 'aborted'] as const) requests.inc({ model, outcome }, counts[outcome])
      tokens.inc({ model, kind: 'prompt' }, counts.promptTokens)
      tokens.inc({ model, kind: 'completion' }, counts.completionTokens)
    }
    for (const [status, count] of this.#refusals) refused.inc({ status: String(status) }, count)
  }

  #nodes(registry: Registry, router: Router) {
    const gauge = (name: string, help: string) =>
      new Gauge({ name: `flightdeck_gateway_${name}`, help, labelNames: ['node'], registers: [registry] })
    const inFlight = gauge('in_flight', 'Requests that a node has now.')
    const sockets = gauge('sockets', 'Connections that a node has lent.')
    const spares = gauge('spare_sockets', 'Of them, those that carry nothing.')
    for (const pool of router.pools.values()) {
      const node = pool.node.name
      inFlight.set({ node }, pool.inFlight)
      sockets.set({ node }, pool.sockets.size)
      spares.set({ node }, pool.spares)
    }
  }

  /** Written by hand: a prom-client histogram can only be fed one by one, which is what the hot path avoids. */
  #durations(): string {
    const name = 'flightdeck_gateway_request_seconds'
    let sum = 0
    const lines = this.#buckets.map((count, i) => {
      sum += count
      return `${name}_bucket{le="${durationBounds[i] ?? '+Inf'}"} ${sum}`
    })
    const help = `# HELP ${name} From the choice of a node to the last byte.\n# TYPE ${name} histogram`
    return `${help}\n${lines.join('\n')}\n${name}_sum ${this.#durationSum}\n${name}_count ${sum}\n`
  }
}
