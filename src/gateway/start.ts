import { mkdir, readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import type { Log } from '../lib/log.ts'
import type { RoutingTable } from '../wire/gateway.ts'
import { reverse } from '../wire/paths.ts'
import { ask } from './ask.ts'
import type { GatewayConfig } from './config.ts'
import { ControlClient } from './control.ts'
import { Gateway } from './gateway.ts'
import { UsageJournal } from './journal.ts'
import { GatewayMetrics } from './metrics.ts'
import { Prober } from './probe.ts'
import { Reporter } from './report.ts'
import { createGatewayServer } from './server.ts'
import { TableFollower } from './table.ts'
import { acceptUpgrade } from './upgrade.ts'

export interface RunningGateway {
  readonly port: number
  /** Takes no new request, lets the others end, keeps what was counted. */
  stop(): Promise<void>
}

/** Puts the parts together and listens. */
export async function startGateway(config: GatewayConfig, log: Log): Promise<RunningGateway> {
  await mkdir(config.dir, { recursive: true, mode: 0o700 })
  const token = (await readFile(config.tokenFile, 'utf8')).trim()
  const ending = new AbortController()
  const { signal } = ending
  const control = new ControlClient(config.controlUrl, token, signal)
  const metrics = new GatewayMetrics()
  const gateway = new Gateway(config, metrics, log)
  const { router, usage } = gateway
  const journal = new UsageJournal(config.dir, config.journalMaxRows, log)
  await journal.load()
  const nudges = new DrainNudges(gateway, log)
  const apply = (table: RoutingTable) => {
    gateway.apply(table)
    nudges.look()
    prober.sweep(performance.now())
  }
  const prober: Prober = new Prober(router, config, () => reporter.nudge())
  const table = new TableFollower({ control, dir: config.dir, pollWaitMs: config.pollWaitMs, log, signal, apply })
  let url = config.url ?? ''
  const reporter: Reporter = new Reporter({
    control,
    router,
    usage,
    journal,
    prober,
    reportMs: config.reportMs,
    log,
    signal,
    url: () => url,
  })
  await table.load()
  const upgrades = {
    router,
    freshTable: () => table.fresh(),
    secondHolder: (nodeId: string, incarnation: string) => {
      log.error({ nodeId, incarnation }, 'A second agent holds the credential of a node.')
      reporter.secondHolder(nodeId, incarnation)
    },
    joined: () => prober.sweep(performance.now()),
  }
  const server = createGatewayServer({
    router,
    maxBodyBytes: config.maxBodyBytes,
    tls: await readTls(config),
    open: () => gateway.open,
    relay: (call, response) => gateway.relay(call, response),
    refused: (status) => metrics.refused(status),
    metricsPage: () => {
      metrics.lostUsage = journal.lost
      return metrics.page(router, table.awaySince !== null)
    },
    upgrade: (request, socket, head) => {
      acceptUpgrade(upgrades, request, socket, head).catch((error: unknown) => {
        log.error({ err: error }, 'An upgrade failed by a fault of the gateway.')
        socket.destroy()
      })
    },
    failed: (error) => log.error({ err: error }, 'A request failed by a fault of the gateway.'),
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(config.port, config.host, resolve)
  })
  const { port } = server.address() as AddressInfo
  url ||= `${config.tls ? 'https' : 'http'}://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`
  const probing = setInterval(() => prober.sweep(performance.now()), Math.min(250, config.badProbeMs / 2))
  const loops = [table.follow(), reporter.run()]

  const stop = async () => {
    clearInterval(probing)
    server.close()
    server.closeIdleConnections()
    await gateway.finish(config.stopMs)
    server.closeAllConnections()
    // A last word while control listens; without it, the journal keeps everything for the next start.
    const gaveUp = setTimeout(() => ending.abort(), 2_000)
    await reporter
      .once()
      .catch((error: unknown) => log.warn({ why: String(error) }, 'The last report did not reach control.'))
    clearTimeout(gaveUp)
    ending.abort()
    await Promise.all(loops)
    await journal.close()
  }
  return { port, stop }
}

async function readTls({ tls }: GatewayConfig) {
  return tls === null ? null : { cert: await readFile(tls.certFile), key: await readFile(tls.keyFile) }
}

/** Asks the agent of a node that is to drain or end for a heartbeat, so that it learns of it now. */
class DrainNudges {
  readonly #gateway: Gateway
  readonly #log: Log
  readonly #told = new Set<string>()

  constructor(gateway: Gateway, log: Log) {
    this.#gateway = gateway
    this.#log = log
  }

  look() {
    for (const [id, pool] of this.#gateway.router.pools) {
      if (pool.node.order === 'run') this.#told.delete(id)
      else if (!this.#told.has(id) && pool.sockets.size > 0) {
        this.#told.add(id)
        ask(pool, { method: 'POST', path: reverse.nudgePath }, 5_000).catch((error: unknown) =>
          this.#log.info(
            { why: String(error), nodeId: id },
            'The nudge did not reach the node; its next heartbeat will do.',
          ),
        )
      }
    }
  }
}
