import type { Log } from '../lib/log.ts'
import type { RoutingTable } from '../wire/gateway.ts'
import type { ClientResponse } from './client-response.ts'
import type { GatewayConfig } from './config.ts'
import type { GatewayMetrics } from './metrics.ts'
import type { Refusal } from './openai-error.ts'
import { PassiveHealth } from './passive-health.ts'
import type { NodePool } from './pool.ts'
import { type Call, Relay, type RelayHost, type RelayTimes } from './relay.ts'
import { Router } from './route.ts'
import { sendRefusal } from './server.ts'
import { type Spent, UsageTally } from './usage.ts'

/** The data plane without its sockets to the outside: routing, requests in flight, what they used. */
export class Gateway implements RelayHost {
  readonly router: Router
  readonly times: RelayTimes
  readonly usage = new UsageTally()
  readonly passive: PassiveHealth
  readonly nodeless = new Set<Relay>()
  readonly maxNodeless: number
  coarseNow = performance.now()
  open = true
  readonly #metrics: GatewayMetrics
  readonly #log: Log
  readonly #relays = new Set<Relay>()
  readonly #timer: NodeJS.Timeout
  #idle: (() => void) | null = null
  #tidyAt = 0

  /** `suspicious`: a request failed at the node, which should be probed now. */
  constructor(config: GatewayConfig, metrics: GatewayMetrics, log: Log, suspicious: (pool: NodePool) => void) {
    this.router = new Router({ maxSockets: config.maxSocketsPerNode, maxWaiting: config.maxWaitingPerNode })
    this.passive = new PassiveHealth((pool) => this.router.peersOf(pool), suspicious)
    this.times = config
    this.maxNodeless = config.maxWaitingPerNode
    this.#metrics = metrics
    this.#log = log
    // Deadlines are as exact as the shortest of them needs, and never looked at more than ten times a second.
    const shortest = Math.min(config.pingMs, config.earlyHeadersMs, config.queueTimeoutMs, config.idleTimeoutMs)
    this.#timer = setInterval(() => this.#sweep(), Math.max(10, Math.min(500, shortest / 4)))
  }

  get inFlight(): number {
    return this.#relays.size
  }

  apply(table: RoutingTable) {
    this.router.apply(table)
    for (const relay of this.nodeless) relay.choose()
  }

  relay(call: Call, response: ClientResponse) {
    const relay = new Relay(this, call, response)
    this.#relays.add(relay)
    relay.choose()
  }

  choose(model: string, tried: readonly NodePool[]): NodePool | null {
    return this.router.choose(model, tried)
  }

  retried() {
    this.#metrics.retries += 1
  }

  /** Nobody answers at the node, or its engine hangs. */
  silent(pool: NodePool) {
    for (const relay of [...this.#relays]) relay.moveFrom(pool)
  }

  failed(pool: NodePool) {
    this.passive.failed(pool, this.coarseNow)
  }

  refuse(response: ClientResponse, refusal: Refusal, requestId: string) {
    this.#metrics.refused(refusal.status)
    sendRefusal(response, refusal, requestId)
  }

  over(relay: Relay, spent: Spent, pool: NodePool | null) {
    this.#relays.delete(relay)
    this.nodeless.delete(relay)
    this.#metrics.finished(spent)
    if (pool) {
      this.usage.add(spent, Date.now())
      if (spent.outcome === 'ok') {
        pool.completedAt = this.coarseNow
        this.passive.worked(pool)
      }
    }
    if (this.#relays.size === 0) this.#idle?.()
  }

  /** Resolves when the last request is over; those that are not by then are cut. */
  async finish(withinMs: number): Promise<void> {
    this.open = false
    if (this.#relays.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#idle = resolve
      const timer = setTimeout(resolve, withinMs)
      await promise
      clearTimeout(timer)
    }
    for (const relay of [...this.#relays]) relay.cut()
    clearInterval(this.#timer)
    for (const pool of this.router.pools.values()) pool.closeAll('The gateway was stopped.')
  }

  #sweep() {
    const now = performance.now()
    this.coarseNow = now
    for (const relay of this.#relays) {
      try {
        relay.sweep(now)
      } catch (error) {
        this.#log.error({ err: error }, 'A request failed by a fault of the gateway.')
        relay.cut()
      }
    }
    this.passive.sweep(this.router.pools.values(), now)
    if (now < this.#tidyAt) return
    this.#tidyAt = now + 5_000
    this.router.tidy(now)
  }
}
