import { Backoff } from '../lib/backoff.ts'
import { pause } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { GatewayReport, ProbeResult } from '../wire/gateway.ts'
import type { ControlClient } from './control.ts'
import type { UsageJournal } from './journal.ts'
import type { Prober, Seen } from './probe.ts'
import type { Router } from './route.ts'
import type { UsageTally } from './usage.ts'

export interface ReportDeps {
  readonly control: ControlClient
  readonly router: Router
  readonly usage: UsageTally
  readonly journal: UsageJournal
  readonly prober: Prober
  readonly reportMs: number
  readonly log: Log
  readonly signal: AbortSignal
  /** Where agents dial; known once we listen. */
  url(): string
  readonly fingerprint: string | null
}

/** Lines reach the journal this often: what a kill can lose. */
const journalMs = 250

const maxHolders = 100
// What is left over goes with the next report, two seconds later.
const maxProbes = 5_000
const maxNodes = 20_000

/** Tells control what was used, probed and seen, every two seconds, or at once when something changed. */
export class Reporter {
  readonly #deps: ReportDeps
  readonly #startedAt = new Date().toISOString()
  readonly #holders = new Map<string, { nodeId: string; incarnation: string }>()
  #nudge = new AbortController()
  #nudged = false

  constructor(deps: ReportDeps) {
    this.#deps = deps
  }

  /** Something should be told before its time. */
  nudge() {
    this.#nudged = true
    this.#nudge.abort()
  }

  secondHolder(nodeId: string, incarnation: string) {
    if (this.#holders.size < maxHolders) this.#holders.set(`${nodeId} ${incarnation}`, { nodeId, incarnation })
    this.nudge()
  }

  /** Until the signal aborts. */
  async run(): Promise<void> {
    const { signal, reportMs, log } = this.#deps
    const backoff = new Backoff(reportMs, 30_000)
    let away = false
    while (!signal.aborted) {
      let waitMs = reportMs
      try {
        await this.once()
        backoff.reset()
        away = false
      } catch (error) {
        if (signal.aborted) return
        if (!away) log.warn({ why: String(error) }, 'The report did not reach control; usage is kept on disk.')
        away = true
        waitMs = backoff.next()
      }
      await this.#rest(waitMs)
    }
  }

  /** One report. Rejects when control did not take it; then nothing of it is forgotten. */
  async once(): Promise<void> {
    const { control, journal, prober, log } = this.#deps
    await this.keep()
    await journal.sync().catch((error: unknown) => log.error({ err: error }, 'The usage journal cannot be written.'))
    const batch = await journal.batch()
    const holders = [...this.#holders]
    const probes = prober.untold(maxProbes)
    this.#nudged = false
    const accepted = await control.report({
      ...this.#state(),
      probes: [...probes].map(probeResult),
      batch: batch?.number ?? null,
      usage: batch ? [...batch.rows] : [],
      secondHolders: holders.map(([, holder]) => holder),
    })
    for (const [key] of holders) this.#holders.delete(key)
    prober.told(probes)
    await journal.accepted(accepted)
  }

  #state(): Omit<GatewayReport, 'probes' | 'batch' | 'usage' | 'secondHolders'> {
    const { router, journal, url, fingerprint } = this.#deps
    return {
      gatewayId: journal.gatewayId,
      url: url(),
      fingerprint,
      startedAt: this.#startedAt,
      tableVersion: router.version,
      nodes: [...router.pools.values()]
        .slice(0, maxNodes)
        .map((pool) => ({ id: pool.node.id, inFlight: pool.inFlight, spareSockets: pool.spares })),
    }
  }

  /** Moves what was counted to the journal. */
  async keep(): Promise<void> {
    const { usage, journal, log } = this.#deps
    await journal
      .append(usage.take())
      .catch((error: unknown) => log.error({ err: error }, 'The usage journal cannot be written.'))
  }

  /** Waits for the next report and keeps the journal going meanwhile. */
  async #rest(ms: number): Promise<void> {
    const until = performance.now() + ms
    for (let left = ms; left > 0 && !this.#deps.signal.aborted; left = until - performance.now()) {
      if (this.#nudged) return
      this.#nudge = new AbortController()
      await pause(Math.min(left, journalMs), AbortSignal.any([this.#nudge.signal, this.#deps.signal]))
      await this.keep()
    }
  }
}

function probeResult([nodeId, { good, reached, detail, tookMs, at }]: [string, Seen]): ProbeResult {
  return { nodeId, good, reached, detail, tookMs, agoMs: Math.max(0, Math.round(performance.now() - at)) }
}
