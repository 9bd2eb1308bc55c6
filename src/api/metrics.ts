import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock } from '../lib/clock.ts'
import { makeMetrics } from '../lib/metrics.ts'
import type { Store } from '../store/database.ts'
import { worldMetrics } from './world-metrics.ts'

export interface ApiMetrics {
  observeCall(route: string, status: number, tookMs: number): void
  observePass(loop: string, tookMs: number, moved: boolean, failed: boolean): void
  page(): Promise<{ readonly contentType: string; readonly text: string }>
  close(): void
}

/** Upper bounds in seconds; a long poll of a gateway ends in the last one. */
const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60]
const passResults = ['moved', 'same', 'failed']

/** Everything that this process can tell: counted as it happens, or read from the database when somebody looks. */
export function makeApiMetrics({ db, pool }: Store, clock: Clock, liveReaders: () => number): ApiMetrics {
  const metrics = makeMetrics('flightdeck_')
  const calls = metrics.histogram('http_request_seconds', 'Calls of the control API.', ['route', 'status'], bounds)
  const passes = metrics.histogram('loop_pass_seconds', 'Passes of the loops.', ['loop', 'result'], bounds)
  const lag = monitorEventLoopDelay({ resolution: 20 })
  lag.enable()
  const process = processGauges(metrics)
  let statementsTold = 0
  const world = worldMetrics(metrics)
  const known = new Set<string>()
  return {
    observeCall: (route, status, tookMs) => calls.observe({ route, status: String(status) }, tookMs / 1_000),
    observePass(loop, tookMs, moved, failed) {
      // A count that begins with its first failure has no rate: Prometheus has to see the 0 before it.
      if (!known.has(loop)) for (const result of passResults) passes.zero({ loop, result })
      known.add(loop)
      passes.observe({ loop, result: failed ? 'failed' : moved ? 'moved' : 'same' }, tookMs / 1_000)
    },
    async page() {
      process.readers.set(liveReaders())
      process.size.set(pool.size)
      process.waiting.set(pool.waitingNow())
      process.statements.inc(pool.statements() - statementsTold)
      statementsTold = pool.statements()
      process.longest.set(pool.longestWaitMs() / 1_000)
      process.lag.set(lag.percentile(99) / 1e9)
      lag.reset()
      await world.read(db, clock.now())
      return metrics.page()
    },
    close: () => lag.disable(),
  }
}

function processGauges(metrics: ReturnType<typeof makeMetrics>) {
  return {
    readers: metrics.gauge('live_readers', 'Open live connections of this process.'),
    size: metrics.gauge('database_pool_size', 'Connections that this process may have.'),
    waiting: metrics.gauge('database_pool_waiting', 'Calls that wait for a connection now.'),
    statements: metrics.counter('database_statements_total', 'Statements of this process.'),
    longest: metrics.gauge('database_pool_longest_wait_seconds', 'The longest wait for a connection so far.'),
    lag: metrics.gauge('event_loop_lag_seconds', 'The 99th percentile since the last scrape.'),
  }
}
