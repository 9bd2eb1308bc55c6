import { type GatewayReport, gatewayPaths, gatewayReply, type RoutingTable, routingTable } from '../wire/gateway.ts'

/** Control's HTTP API as the gateway uses it. Every call may fail; nothing here retries. */
export class ControlClient {
  readonly #url: string
  readonly #token: string
  readonly #signal: AbortSignal

  constructor(url: string, token: string, signal: AbortSignal) {
    this.#url = url
    this.#token = token
    this.#signal = signal
  }

  /** The table when it differs from `after`; null when it is still the same once the wait is over. */
  async table(after: string | null, waitMs: number): Promise<RoutingTable | null> {
    const query = new URLSearchParams({ waitMs: String(waitMs) })
    if (after !== null) query.set('after', after)
    const response = await this.#call(`${gatewayPaths.table}?${query}`, { method: 'GET' }, waitMs + 10_000)
    if (response.status === 204) return null
    return routingTable.parse(await response.json())
  }

  /** The batch that control has taken, or null. */
  async report(report: GatewayReport): Promise<number | null> {
    const headers = { 'content-type': 'application/json' }
    const request = { method: 'POST', body: JSON.stringify(report), headers }
    const response = await this.#call(gatewayPaths.report, request, 10_000)
    return gatewayReply.parse(await response.json()).acceptedBatch
  }

  async #call(path: string, request: RequestInit, timeoutMs: number): Promise<Response> {
    const response = await fetch(this.#url + path, {
      ...request,
      headers: { ...request.headers, authorization: `Bearer ${this.#token}` },
      // The token must not follow where an answer points.
      redirect: 'error',
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(timeoutMs)]),
    })
    if (response.ok) return response
    await response.body?.cancel()
    throw new Error(`Control answered ${request.method} ${path.split('?', 1)[0]} with status ${response.status}.`)
  }
}
