import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type GatewayReport, gatewayPaths, gatewayReport, type RoutingTable } from '../wire/gateway.ts'

/** A control plane for tests: holds a table, gathers reports. Usage counts once for each batch, as in the real one. */
export class FakeControl {
  readonly reports: GatewayReport[] = []
  /** False: reports are answered with 500, as when the database is away. */
  takesReports = true
  port = 0
  #table: RoutingTable
  #serial = 1
  #polled: (() => void) | null = null
  readonly #batches = new Map<string, GatewayReport['usage']>()
  readonly #polls = new Set<() => void>()
  readonly #watchers = new Set<() => void>()
  readonly #server = createServer((request, response) => this.#handle(request, response))

  constructor(table: Omit<RoutingTable, 'version'>) {
    this.#table = { ...table, version: 'v1' }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get table(): RoutingTable {
    return this.#table
  }

  /** Usage of all accepted batches. */
  get usage(): GatewayReport['usage'] {
    return [...this.#batches.values()].flat()
  }

  /** What was told last of a node's probes: each result is told once. */
  probe(nodeId = 'n1'): GatewayReport['probes'][number] | undefined {
    return this.reports.flatMap(({ probes }) => probes).findLast((probe) => probe.nodeId === nodeId)
  }

  listen(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.listen(this.port, '127.0.0.1', () => {
        this.port = (this.#server.address() as AddressInfo).port
        resolve()
      })
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  change(change: Partial<RoutingTable>) {
    this.#serial += 1
    this.#table = { ...this.#table, ...change, version: `v${this.#serial}` }
    for (const answer of [...this.#polls]) answer()
  }

  /** Resolves as soon as a report, or all of them together, satisfy the check. */
  until(check: (reports: readonly GatewayReport[]) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!check(this.reports)) return
        this.#watchers.delete(look)
        resolve()
      }
      this.#watchers.add(look)
      look()
    })
  }

  /** Resolves once a gateway has the table and waits for the next one. */
  untilPolled(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#polls.size > 0) resolve()
      else this.#polled = resolve
    })
  }

  #handle(request: IncomingMessage, response: ServerResponse) {
    const url = new URL(request.url ?? '/', 'http://control')
    if (request.headers.authorization !== 'Bearer fd_gw_token-of-the-test') return response.writeHead(401).end()
    if (url.pathname === gatewayPaths.table) return this.#poll(url, response)
    return this.#report(request, response)
  }

  #poll(url: URL, response: ServerResponse) {
    const send = () => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(this.#table))
    if (url.searchParams.get('after') !== this.#table.version) return send()
    const waitMs = Number(url.searchParams.get('waitMs'))
    const answer = () => {
      clearTimeout(timer)
      this.#polls.delete(answer)
      if (url.searchParams.get('after') === this.#table.version) response.writeHead(204).end()
      else send()
    }
    const timer = setTimeout(answer, waitMs)
    response.on('close', () => {
      clearTimeout(timer)
      this.#polls.delete(answer)
    })
    this.#polls.add(answer)
    this.#polled?.()
  }

  async #report(request: IncomingMessage, response: ServerResponse) {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    if (!this.takesReports) return response.writeHead(500).end()
    const report = gatewayReport.parse(JSON.parse(Buffer.concat(pieces).toString()))
    this.reports.push(report)
    const batch = `${report.gatewayId} ${report.batch}`
    if (report.batch !== null && !this.#batches.has(batch)) this.#batches.set(batch, report.usage)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ acceptedBatch: report.batch }))
    for (const look of [...this.#watchers]) look()
  }
}
