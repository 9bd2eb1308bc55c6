import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { Duplex } from 'node:stream'
import { reverse } from '../wire/paths.ts'
import { callEngine, engineConnections } from './engine-call.ts'
import type { Load } from './load.ts'

export interface ServeDeps {
  readonly healthPath: string
  /** Where the engine listens; null while there is none. */
  readonly port: () => number | null
  readonly load: Load
  /** Our own figures, which go before the engine's. */
  readonly metrics: () => string
  readonly onNudge: () => void
  /** A request came in over this socket: it is no spare now, and the gateway may want more of them. */
  readonly onBusy: (socket: Duplex, wanted: number) => void
  readonly onIdle: (socket: Duplex) => void
}

type Kind = 'inference' | 'look' | 'figures'

// Neither what is about one connection only nor what is meant for us reaches the engine.
const keptBack = new Set([
  'authorization',
  'connection',
  'cookie',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  reverse.dialHeader,
])
const notReturned = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'trailer'])

/**
 * The server behind reversed connections. It never listens: sockets are given to it. Everything that is not on the list
 * is refused, because an engine answers far more than inference (it can be paused, emptied or made to load code).
 */
export function makeServer(deps: ServeDeps): Server {
  const routes = new Map<string, Kind>([
    ['POST /v1/chat/completions', 'inference'],
    ['POST /v1/completions', 'inference'],
    ['POST /v1/embeddings', 'inference'],
    ['GET /v1/models', 'look'],
    [`GET ${deps.healthPath}`, 'look'],
    ['GET /health', 'look'],
    ['GET /metrics', 'figures'],
  ])
  // A spare socket is silent for hours, and a prompt may take its time: no limit here but the peer's.
  const limits = { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 }
  const server = createServer({ ...limits, maxHeaderSize: 32 * 1024 }, (incoming, response) => {
    deps.onBusy(incoming.socket, Number(incoming.headers[reverse.dialHeader] ?? 0) || 0)
    response.once('close', () => deps.onIdle(incoming.socket))
    const url = incoming.url ?? '/'
    const query = url.indexOf('?')
    const path = query < 0 ? url : url.slice(0, query)
    if (path === reverse.nudgePath && incoming.method === 'POST') return nudged(deps, incoming, response)
    if (path === reverse.alivePath && incoming.method === 'GET') return alive(incoming, response)
    const kind = routes.get(`${incoming.method} ${path}`)
    if (kind === undefined)
      return refuse(incoming, response, 404, 'not_found', `There is no ${incoming.method} ${path} here.`)
    if (kind === 'figures') return void tellFigures(deps, incoming, response)
    const port = deps.port()
    if (port === null) return refuse(incoming, response, 503, 'engine_not_ready', 'The engine does not serve yet.')
    if (kind === 'inference') countLoad(deps.load, response)
    forward(port, url, incoming, response)
  })
  // Set apart: the option of the constructor does not take 0 for `timeout`.
  server.timeout = 0
  server.on('clientError', (_, socket) => socket.destroy())
  return server
}

function alive(incoming: IncomingMessage, response: ServerResponse): void {
  incoming.resume()
  response.writeHead(204).end()
}

function nudged(deps: ServeDeps, incoming: IncomingMessage, response: ServerResponse): void {
  alive(incoming, response)
  deps.onNudge()
}

// The engine renders its page in some ms; while it does not answer, our own figures are all there is.
const figuresTimeoutMs = 5_000

async function tellFigures(deps: ServeDeps, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  incoming.resume()
  const port = deps.port()
  const engine = port === null ? null : await callEngine(port, 'GET', '/metrics', figuresTimeoutMs).catch(() => null)
  const text = deps.metrics() + (engine?.status === 200 ? engine.text : '')
  if (response.destroyed) return
  response.writeHead(200, {
    'content-type': 'text/plain; version=0.0.4; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}

function countLoad(load: Load, response: ServerResponse): void {
  load.begin()
  response.once('close', () => load.end())
}

function forward(port: number, url: string, incoming: IncomingMessage, response: ServerResponse): void {
  const upstream = request({
    host: '127.0.0.1',
    port,
    method: incoming.method,
    path: url,
    headers: headersForEngine(incoming),
    agent: engineConnections,
  })
  upstream.on('response', (answer) => giveBack(answer, response))
  upstream.on('error', (error) => {
    if (response.headersSent) response.destroy()
    else refuse(incoming, response, 502, 'engine_unreachable', `The engine did not answer: ${error.message}`)
  })
  // A client that is gone must not keep a GPU busy.
  response.once('close', () => {
    if (!response.writableFinished) upstream.destroy()
  })
  if (incoming.method === 'GET') upstream.end()
  else sendBody(incoming, upstream)
}

function sendBody(incoming: IncomingMessage, upstream: ClientRequest): void {
  incoming.on('error', () => upstream.destroy())
  incoming.pipe(upstream)
}

function giveBack(answer: IncomingMessage, response: ServerResponse): void {
  // The client went while the engine was about to answer.
  if (response.destroyed) return void answer.destroy()
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headersForGateway(answer.rawHeaders))
  // Bytes go on as they come. A broken answer is passed on broken: its end is never invented.
  answer.on('error', () => response.destroy())
  answer.once('close', () => {
    if (!answer.complete) response.destroy()
  })
  response.flushHeaders()
  answer.pipe(response)
}

function headersForEngine({ headers, method }: IncomingMessage): Record<string, string | string[]> {
  const passed: Record<string, string | string[]> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined && !keptBack.has(name)) passed[name] = value
  }
  // A GET is sent without a body, whatever it announced.
  if (method === 'GET') delete passed['content-length']
  return passed
}

function headersForGateway(raw: string[]): string[] {
  const passed: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? ''
    if (!notReturned.has(name.toLowerCase())) passed.push(name, raw[i + 1] ?? '')
  }
  return passed
}

/** Our own refusals in OpenAI's shape, so that a gateway may pass them on. */
function refuse(
  incoming: IncomingMessage,
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
): void {
  if (response.destroyed) return
  const body = JSON.stringify({
    error: { message, type: status < 500 ? 'invalid_request_error' : 'server_error', param: null, code },
  })
  // What is left of the body is read away, or the connection could not carry another request.
  incoming.resume()
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-flightdeck-refusal': code,
  })
  response.end(body)
}
