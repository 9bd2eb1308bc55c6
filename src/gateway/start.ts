import { mkdir, readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { certificateFromFiles } from '../lib/certificate-source.ts'
import { hostPort, listenBacklog } from '../lib/host.ts'
import type { Log } from '../lib/log.ts'
import type { RoutingTable } from '../wire/gateway.ts'
import { reverse } from '../wire/paths.ts'
import { ask } from './ask.ts'
import type { GatewayConfig } from './config.ts'
import { ControlClient } from './control.ts'
import { DirectDialer } from './direct.ts'
import { Gateway } from './gateway.ts'
import { UsageJournal } from './journal.ts'
import { GatewayMetrics } from './metrics.ts'
import { mayReadMetrics } from './metrics-access.ts'
import { Prober } from './probe.ts'
import { Pulse } from './pulse.ts'
import { Reporter } from './report.ts'
import { createGatewayServer, type GatewayServer, type ServerDeps } from './server.ts'
import { TableFollower } from './table.ts'
import { acceptUpgrade, type UpgradeDeps } from './upgrade.ts'

/** How long the last report may take. */
const lastWordMs = 2_000
/** Below the 10 s that Prometheus waits by default. */
const nodeMetricsMs = 8_000

export interface RunningGateway {
  readonly port: number
  /** Takes no new request, lets the others end, keeps what was counted. */
  stop(): Promise<void>
}

/** Puts the parts together and listens. */
export async function startGateway(config: GatewayConfig, log: Log): Promise<RunningGateway> {
  await mkdir(config.dir, { recursive: true, mode: 0o700 })
  const parts = await assemble(config, log)
  const { gateway, table, prober, pulse, journal, reporter, ending, dialer } = parts
  await journal.load()
  await table.load()
  const certificate = config.tls === null ? null : certificateFromFiles(config.tls, log)
  const door = serverOf(config, parts, certificate?.current ?? null, log)
  certificate?.onChange((fresh) => door.tls?.renew(fresh))
  const port = await listen(config, door)
  parts.url = config.url ?? urlOf(config, port)
  const sweep = () => {
    prober.sweep(performance.now())
    pulse.sweep(performance.now())
    dialer.sweep(performance.now())
  }
  const probing = setInterval(sweep, Math.min(250, config.badProbeMs / 2, config.quietMs / 2))
  const loops = [table.follow(), reporter.run()]
  const stop = async () => {
    clearInterval(probing)
    dialer.close()
    certificate?.close()
    door.close()
    await gateway.finish(config.stopMs)
    door.closeAll()
    // A last word while control listens; without it, the journal keeps everything for the next start.
    const gaveUp = setTimeout(() => ending.abort(), lastWordMs)
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

interface Parts {
  readonly gateway: Gateway
  readonly metrics: GatewayMetrics
  readonly table: TableFollower
  readonly prober: Prober
  readonly pulse: Pulse
  readonly journal: UsageJournal
  readonly reporter: Reporter
  readonly upgrades: UpgradeDeps
  readonly dialer: DirectDialer
  /** Aborted at the end: every talk with control stops. */
  readonly ending: AbortController
  /** Where agents dial; known once we listen. */
  url: string
  /** What the gateways of this install show to control. */
  readonly token: string
}

async function assemble(config: GatewayConfig, log: Log): Promise<Parts> {
  const ending = new AbortController()
  const { signal } = ending
  const token = (await readFile(config.tokenFile, 'utf8')).trim()
  const control = new ControlClient(config.controlUrl, token, signal)
  const metrics = new GatewayMetrics()
  const gateway = new Gateway(config, metrics, log, (pool) => prober.hurry(pool))
  const { router, usage } = gateway
  const nudges = new DrainNudges(gateway, log)
  const apply = (table: RoutingTable) => {
    gateway.apply(table)
    parts.dialer.apply(table.authority)
    nudges.look()
    prober.sweep(performance.now())
  }
  const { dir, pollWaitMs, reportMs } = config
  const table = new TableFollower({ control, dir, pollWaitMs, log, signal, apply })
  const journal = new UsageJournal(dir, config.journalMaxRows, log)
  const changed = () => parts.reporter.nudge()
  const prober: Prober = new Prober(router, config, changed, (pool) => gateway.silent(pool))
  const pulse = new Pulse(router, config, (pool, detail) => {
    prober.silent(pool, detail)
    gateway.silent(pool)
  })
  const url = () => parts.url
  const { fingerprint } = config
  const reporter = new Reporter({ control, router, usage, journal, prober, reportMs, log, signal, url, fingerprint })
  const upgrades = {
    router,
    freshTable: () => table.fresh(),
    secondHolder: (nodeId: string, incarnation: string) => {
      log.error({ nodeId, incarnation }, 'A second agent holds the credential of a node.')
      reporter.secondHolder(nodeId, incarnation)
    },
    joined: () => prober.sweep(performance.now()),
  }
  const dialer = new DirectDialer(upgrades, log)
  const parts: Parts = {
    gateway,
    metrics,
    table,
    prober,
    pulse,
    journal,
    reporter,
    upgrades,
    dialer,
    ending,
    url: '',
    token,
  }
  return parts
}

function serverOf(
  config: GatewayConfig,
  parts: Parts,
  certificate: ServerDeps['certificate'],
  log: Log,
): GatewayServer {
  const { gateway, metrics, table, journal, upgrades } = parts
  const { router } = gateway
  return createGatewayServer({
    router,
    maxBodyBytes: config.maxBodyBytes,
    certificate,
    open: () => gateway.open,
    relay: (call, response) => gateway.relay(call, response),
    refused: (status) => metrics.refused(status),
    metricsPage: () => {
      metrics.lostUsage = journal.lost
      metrics.ejections = gateway.passive.ejections
      return metrics.page(router, table.awaySince !== null)
    },
    mayReadMetrics: (request) => mayReadMetrics(request, parts.token),
    nodeNames: () => [...router.pools.values()].filter(({ sockets }) => sockets.size > 0).map(({ node }) => node.name),
    nodeMetrics(name) {
      const pool = [...router.pools.values()].find(({ node }) => node.name === name)
      return pool ? ask(pool, { method: 'GET', path: '/metrics' }, nodeMetricsMs).then(({ body }) => body) : null
    },
    upgrade: (request, socket, head) => {
      acceptUpgrade(upgrades, request, socket, head).catch((error: unknown) => {
        log.error({ err: error }, 'An upgrade failed by a fault of the gateway.')
        socket.destroy()
      })
    },
    failed: (error) => log.error({ err: error }, 'A request failed by a fault of the gateway.'),
  })
}

async function listen({ port, host }: GatewayConfig, { server, tls }: GatewayServer): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, backlog: listenBacklog }, resolve)
  })
  const bound = (server.address() as AddressInfo).port
  await tls?.listenHere(host, bound)
  return bound
}

function urlOf({ tls, host }: GatewayConfig, port: number): string {
  return `${tls ? 'https' : 'http'}://${hostPort(host, port)}`
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
