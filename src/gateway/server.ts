import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { version } from '../core/version.ts'
import type { KeyPair } from '../lib/certificate.ts'
import { randomName } from '../lib/chance.ts'
import { serveTls, type TlsPort } from '../lib/tls-port.ts'
import { type Asked, readHeaders } from './asked.ts'
import type { ClientResponse } from './client-response.ts'
import { Lane, type LaneDesk } from './lane.ts'
import { errorBody, type Refusal, refusals } from './openai-error.ts'
import type { Call } from './relay.ts'
import { readBody, usageAsked } from './request.ts'
import type { RoutedKey, Router } from './route.ts'
import { isReverseUpgrade } from './upgrade.ts'

export interface ServerDeps {
  readonly router: Router
  readonly maxBodyBytes: number
  readonly certificate: KeyPair | null
  /** False from the first word of the end on. */
  open(): boolean
  relay(call: Call, response: ClientResponse): void
  refused(status: number): void
  metricsPage(): Promise<{ contentType: string; text: string }>
  mayReadMetrics(request: IncomingMessage): boolean
  /** Nodes that can be asked for their page. */
  nodeNames(): readonly string[]
  /** What the agent of a node tells of itself and its engine; null for a node that is not here. */
  nodeMetrics(name: string): Promise<string> | null
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  failed(error: unknown): void
}

const nodeList = '/metrics/nodes'
const nodeMetrics = `${nodeList}/`
const metricsType = 'text/plain; version=0.0.4; charset=utf-8'
const generative = new Set(['/v1/chat/completions', '/v1/completions', '/v1/embeddings'])

// Above the 60 s of common load balancers, so that they and not we close an idle connection. The upload of a large body
// over a slow line gets five minutes.
const lane = { headMs: 30_000, requestMs: 300_000, idleMs: 75_000 }

export interface GatewayServer {
  readonly server: Server
  readonly tls: TlsPort | null
  /** No connection more, and none is kept that carries nothing. */
  close(): void
  closeAll(): void
}

/**
 * The client side. `node:http` parses whatever is not the plainest of requests, so that what is odd is read by a parser
 * that the world has tried to fool.
 */
export function createGatewayServer(deps: ServerDeps): GatewayServer {
  const door = new Door(deps)
  const options = {
    keepAliveTimeout: lane.idleMs,
    headersTimeout: lane.headMs,
    requestTimeout: lane.requestMs,
    noDelay: true,
    // Some clients offer h2c on every request; only the upgrade of an agent is one.
    shouldUpgradeCallback: isReverseUpgrade,
  }
  const listener = (request: IncomingMessage, response: ServerResponse) => door.handle(request, response)
  const server = createServer(options, listener)
  server.on('upgrade', (request, socket, head) => deps.upgrade(request, socket, head))
  const shortLane = addLane(server, door)
  // After the lane, so that it reads what was under TLS, too.
  const tls = deps.certificate ? serveTls(server, deps.certificate) : null
  return {
    server,
    tls,
    close() {
      tls?.close()
      server.close()
      server.closeIdleConnections()
      shortLane.closeIdle()
    },
    closeAll() {
      server.closeAllConnections()
      shortLane.closeAll()
    },
  }
}

/** Puts the short lane before `node:http`'s own reader of connections. */
function addLane(server: Server, door: Door): Lane {
  const readers = server.listeners('connection')
  const shortLane = new Lane(door, lane, (socket) => {
    for (const reader of readers) reader.call(server, socket)
  })
  server.removeAllListeners('connection')
  server.on('connection', (socket) => shortLane.take(socket))
  return shortLane
}

class Door implements LaneDesk {
  readonly #deps: ServerDeps
  readonly #prefix = `req-${randomName(10)}-`
  #serial = 0

  constructor(deps: ServerDeps) {
    this.#deps = deps
  }

  handle(request: IncomingMessage, response: ServerResponse) {
    const asked = this.#named(readHeaders(request.rawHeaders))
    try {
      this.#route(request, response, asked)
    } catch (error) {
      this.#deps.failed(error)
      if (!response.headersSent) this.refuse(response, refusals.internal(), asked.requestId)
      else response.destroy()
    }
  }

  #named(asked: Asked): Asked {
    if (asked.requestId === '') asked.requestId = this.#prefix + (this.#serial++).toString(36)
    return asked
  }

  #route(request: IncomingMessage, response: ServerResponse, asked: Asked) {
    const url = request.url ?? '/'
    const query = url.indexOf('?')
    const path = query < 0 ? url : url.slice(0, query)
    if (request.method === 'POST' && generative.has(path)) return this.#generate(request, response, path, asked)
    // A body that nobody reads must not stay in the connection.
    request.resume()
    if (request.method !== 'GET') return this.refuse(response, refusals.noSuchPath(path), asked.requestId)
    if (path === '/v1/models' || path.startsWith('/v1/models/')) return this.#models(response, path, asked)
    if (path === '/health') return this.#health(response, asked)
    if (path === '/metrics' || path === nodeList || path.startsWith(nodeMetrics))
      return this.#metrics(request, response, path, asked)
    this.refuse(response, refusals.noSuchPath(path), asked.requestId)
  }

  // ---- the three paths that reach a node

  #generate(request: IncomingMessage, response: ServerResponse, path: string, asked: Asked) {
    const refuse = (refusal: Refusal) => {
      // The rest of the body is not wanted, so the connection cannot be used again.
      response.shouldKeepAlive = request.complete
      this.refuse(response, refusal, asked.requestId)
      request.resume()
    }
    const key = this.admit(asked)
    if ('status' in key) return refuse(key)
    const { maxBodyBytes } = this.#deps
    collect(request, maxBodyBytes, (body) => {
      if (body === null) return refuse(refusals.tooLarge(maxBodyBytes))
      this.forward(response, path, asked, key, body)
    })
  }

  admit(asked: Asked): RoutedKey | Refusal {
    const { router, maxBodyBytes, open } = this.#deps
    this.#named(asked)
    if (!open()) return refusals.stopping()
    if (router.version === null) return refusals.notReady()
    const key = router.authenticate(asked.authorization)
    return 'status' in key || asked.length <= maxBodyBytes ? key : refusals.tooLarge(maxBodyBytes)
  }

  forward(response: ClientResponse, path: string, asked: Asked, key: RoutedKey, bytes: Buffer) {
    const read = readBody(bytes)
    if ('status' in read) return this.refuse(response, read, asked.requestId)
    const refusal = this.#deps.router.refuseModel(key, read.model)
    if (refusal) return this.refuse(response, refusal, asked.requestId)
    const changed = read.streams ? usageAsked(bytes, read.scanned) : null
    const body = changed ?? bytes
    const head =
      `POST ${path} HTTP/1.1\r\nhost: node\r\n${asked.passed}x-request-id: ${asked.requestId}\r\n` +
      `content-length: ${body.length}\r\n`
    const { model, streams } = read
    const call = { keyId: key.id, model, path, requestId: asked.requestId, head, body, streams }
    this.#deps.relay({ ...call, stripUsage: changed !== null }, response)
  }

  // ---- what the gateway answers by itself

  #models(response: ServerResponse, path: string, asked: Asked) {
    const key = this.#deps.router.authenticate(asked.authorization)
    if ('status' in key) return this.refuse(response, key, asked.requestId)
    const data = this.#deps.router.listModels(key)
    if (path === '/v1/models') return send(response, 200, JSON.stringify({ object: 'list', data }), asked.requestId)
    const id = safeDecode(path.slice('/v1/models/'.length))
    const card = data.find((one) => one.id === id)
    if (card) send(response, 200, JSON.stringify(card), asked.requestId)
    else this.refuse(response, refusals.unknownModel(id), asked.requestId)
  }

  #health(response: ServerResponse, asked: Asked) {
    const { router } = this.#deps
    const status = router.version !== null && this.#deps.open() ? 200 : 503
    const state = status === 200 ? 'ok' : router.version === null ? 'starting' : 'stopping'
    send(response, status, JSON.stringify({ status: state, version, install: router.install }), asked.requestId)
  }

  #metrics(request: IncomingMessage, response: ServerResponse, path: string, asked: Asked) {
    if (!this.#deps.mayReadMetrics(request)) return this.refuse(response, refusals.metricsKept(), asked.requestId)
    if (path === nodeList) return this.#nodeTargets(request, response, asked)
    if (path !== '/metrics') return this.#nodeMetrics(response, safeDecode(path.slice(nodeMetrics.length)), asked)
    this.#deps.metricsPage().then(
      ({ contentType, text }) => response.writeHead(200, { 'content-type': contentType }).end(text),
      (error: unknown) => {
        this.#deps.failed(error)
        this.refuse(response, refusals.internal(), asked.requestId)
      },
    )
  }

  /** The pages of the nodes, for Prometheus' discovery over HTTP: they are where this list was asked for. */
  #nodeTargets({ headers }: IncomingMessage, response: ServerResponse, asked: Asked) {
    const targets = this.#deps.nodeNames().map((node) => ({
      targets: [headers.host ?? ''],
      labels: { node, __metrics_path__: nodeMetrics + encodeURIComponent(node) },
    }))
    send(response, 200, JSON.stringify(targets), asked.requestId)
  }

  #nodeMetrics(response: ServerResponse, name: string, asked: Asked) {
    const page = this.#deps.nodeMetrics(name)
    if (page === null) return this.refuse(response, refusals.noSuchPath(nodeMetrics + name), asked.requestId)
    page.then(
      (text) => response.writeHead(200, { 'content-type': metricsType }).end(text),
      (error: Error) => this.refuse(response, refusals.nodeFailed(error.message), asked.requestId),
    )
  }

  failed(error: unknown) {
    this.#deps.failed(error)
  }

  refuse(response: ClientResponse, refusal: Refusal, requestId: string) {
    this.#deps.refused(refusal.status)
    sendRefusal(response, refusal, requestId)
  }
}

function collect(request: IncomingMessage, limit: number, done: (body: Buffer | null) => void) {
  const pieces: Buffer[] = []
  let size = 0
  request.on('data', (piece: Buffer) => {
    size += piece.length
    if (size <= limit) pieces.push(piece)
    else if (size - piece.length <= limit) done(null)
  })
  request.on('end', () => {
    if (size <= limit) done(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, size))
  })
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    if (error instanceof URIError) return text
    throw error
  }
}

function send(response: ClientResponse, status: number, body: string, requestId: string, extra: string[] = []) {
  const bytes = Buffer.from(body)
  const headers = ['content-type', 'application/json', 'content-length', String(bytes.length)]
  response.writeHead(status, [...headers, 'x-request-id', requestId, ...extra])
  response.end(bytes)
}

export function sendRefusal(response: ClientResponse, refusal: Refusal, requestId: string) {
  if (response.headersSent || response.destroyed) return
  const extra = refusal.retryAfterS === null ? [] : ['retry-after', String(refusal.retryAfterS)]
  send(response, refusal.status, errorBody(refusal.error), requestId, extra)
}
