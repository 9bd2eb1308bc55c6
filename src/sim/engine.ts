import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { embeddingAnswer, modelCard, notFound, SimRefusal, version, wrongMethod } from './engine-answers.ts'
import { answerHeaders, dribble, Generation } from './engine-generation.ts'
import { type SimCounts, SimMetrics } from './engine-metrics.ts'
import { type SimFaults, type SimOptions, type SimSettings, withDefaults } from './engine-options.ts'
import { readEmbedding, readGeneration, readJson } from './engine-requests.ts'
import { SimScheduler } from './engine-scheduler.ts'
import { playStartup, printDeath, printFailure, printShutdown, SimExit } from './engine-startup.ts'

export { SimExit } from './engine-startup.ts'

/** A running simulated engine. */
export interface SimEngine {
  readonly port: number
  /** `http://host:port`, without a path. */
  readonly url: string
  counts(): SimCounts
  /** Resolves as soon as the counts satisfy the check; tests wait with it instead of sleeping. */
  until(check: (counts: SimCounts) => boolean): Promise<SimCounts>
  /** Replaces all faults; generations that run are under the new ones from their next token on. */
  setFaults(faults: SimFaults): void
  /** Resolves with the exit code when the engine dies by a fault: 0, as the real one was seen to leave. */
  readonly died: Promise<number>
  /** Stops as SIGTERM stops the real one: what is in flight ends with the error chunk, or hangs with `stop: 'hang'`. */
  close(): Promise<void>
}

/** Uvicorn closes an idle connection after five seconds (vLLM's default), a trap for clients that pool. */
const keepAliveMs = 5000

type Route = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void

/**
 * Plays the start-up, then listens. Rejects with `SimExit` when a fault ends it before that, or with the signal's
 * reason when it is stopped while starting. Until then the port is refused.
 */
export async function startSimEngine(options: SimOptions = {}, signal?: AbortSignal): Promise<SimEngine> {
  const settings = withDefaults(options)
  await playStartup(settings, signal ?? new AbortController().signal)
  const engine = new Engine(settings)
  await engine.listen()
  return engine
}

class Engine implements SimEngine {
  readonly settings: SimSettings
  readonly metrics = new SimMetrics()
  readonly scheduler: SimScheduler
  readonly #server: Server
  readonly #routes: Map<string, Route>
  readonly #created = Math.floor(Date.now() / 1000)
  readonly #waiters = new Set<() => void>()
  readonly #live = new Set<Generation>()
  #faults: SimFaults
  readonly #death = Promise.withResolvers<number>()
  #port = 0
  #serial = 0
  #completed = 0

  constructor(settings: SimSettings) {
    this.settings = settings
    this.#faults = settings.faults
    this.scheduler = new SimScheduler(settings, () => this.changed())
    this.scheduler.stuck = settings.faults.tokens === 'never'
    this.#routes = this.#routeTable()
    this.#server = createServer({ keepAliveTimeout: keepAliveMs }, (request, response) => {
      this.#handle(request, response).catch((error: unknown) => this.#refuse(response, error))
    })
  }

  get died(): Promise<number> {
    return this.#death.promise
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `http://${this.settings.host}:${this.port}`
  }

  async listen(): Promise<void> {
    const { port, host, log } = this.settings
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        reject(error.code === 'EADDRINUSE' ? printFailure('port_in_use', this.settings) : error)
      })
      this.#server.listen(port, host, resolve)
    })
    this.#port = (this.#server.address() as AddressInfo).port
    log(`INFO:     Started server process [${process.pid}]\n`)
    log('INFO:     Waiting for application startup.\nINFO:     Application startup complete.\n')
  }

  faults(): SimFaults {
    return this.#faults
  }

  setFaults(faults: SimFaults) {
    this.#faults = faults
    this.scheduler.stuck = faults.tokens === 'never'
    this.scheduler.wake()
  }

  counts(): SimCounts {
    return this.metrics.counts(this.scheduler)
  }

  until(check: (counts: SimCounts) => boolean): Promise<SimCounts> {
    return new Promise((resolve) => {
      const look = () => {
        const counts = this.counts()
        if (!check(counts)) return
        this.#waiters.delete(look)
        resolve(counts)
      }
      this.#waiters.add(look)
      look()
    })
  }

  changed() {
    for (const look of this.#waiters) look()
  }

  completed(generation: Generation) {
    this.#live.delete(generation)
    this.#completed += 1
    const limit = this.#faults.dieAfterRequests
    if (limit !== undefined && this.#completed >= limit) this.#die()
  }

  async close(): Promise<void> {
    printShutdown(this.settings)
    if (this.#faults.stop === 'hang' && this.#live.size > 0) {
      this.scheduler.stop()
      this.#server.close()
      this.settings.log('INFO:     Waiting for connections to close. (CTRL+C to force quit)\n')
      await this.until(() => this.#live.size === 0)
    }
    for (const generation of [...this.#live]) generation.fail('')
    await this.#shut()
  }

  /** Streams in flight get the error chunk first, as when a real engine core dies. */
  #die() {
    if (!this.#server.listening) return
    printDeath(this.settings)
    for (const generation of [...this.#live]) generation.fail('')
    void this.#shut().then(() => this.#death.resolve(0))
  }

  #shut(): Promise<void> {
    this.scheduler.stop()
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      // One turn later, so that what was just written still leaves.
      setImmediate(() => this.#server.closeAllConnections())
    })
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.metrics.requests += 1
    // Uvicorn sends no Connection header either; the connection stays open all the same.
    response.removeHeader('connection')
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
    const route = this.#routes.get(`${request.method} ${path}`)
    response.on('finish', () => this.#answered(request, response, route ? path : 'none'))
    this.changed()
    if (!route) throw this.#isPath(path) ? wrongMethod : notFound
    await route(request, response)
  }

  #isPath(path: string): boolean {
    return [...this.#routes.keys()].some((key) => key.endsWith(` ${path}`))
  }

  #answered(request: IncomingMessage, response: ServerResponse, handler: string) {
    const { method = 'GET', url, socket } = request
    this.metrics.answered(handler, method, response.statusCode)
    if (!this.settings.accessLog) return
    const from = `${socket.remoteAddress ?? '-'}:${socket.remotePort ?? 0}`
    this.settings.log(`INFO:     ${from} - "${method} ${url} HTTP/1.1" ${response.statusCode}\n`)
  }

  #routeTable(): Map<string, Route> {
    const { task } = this.settings
    const routes = new Map<string, Route>([
      ['GET /health', (_, response) => this.#health(response)],
      ['GET /v1/models', (_, response) => this.#models(response)],
      ['GET /version', (_, response) => this.#send(response, 200, { version })],
      ['GET /load', (_, response) => this.#send(response, 200, { server_load: this.#inFlight() })],
      ['GET /metrics', (_, response) => this.#metricsPage(response)],
      [
        'POST /sim/faults',
        async (request, response) => {
          this.setFaults((await readJson(request)) as SimFaults)
          this.#send(response, 200, this.#faults)
        },
      ],
    ])
    if (task !== 'embed') {
      routes.set('POST /v1/chat/completions', (request, response) => this.#generate('chat', request, response))
      routes.set('POST /v1/completions', (request, response) => this.#generate('completion', request, response))
    }
    if (task !== 'generate') routes.set('POST /v1/embeddings', (request, response) => this.#embed(request, response))
    return routes
  }

  #inFlight(): number {
    return this.scheduler.running.size + this.scheduler.waiting.length
  }

  #health(response: ServerResponse) {
    const { health } = this.#faults
    if (health === 'hang') return
    response.writeHead(health === 'unavailable' ? 503 : 200, { ...answerHeaders, 'content-length': 0 })
    response.end()
  }

  #models(response: ServerResponse) {
    const { servedModelNames, model, maxModelLen } = this.settings
    const data = servedModelNames.map((name) => modelCard(name, model, maxModelLen, this.#created))
    this.#send(response, 200, { object: 'list', data })
  }

  #metricsPage(response: ServerResponse) {
    const { maxModelLen, maxNumSeqs, servedModelNames } = this.settings
    const page = this.metrics.page(servedModelNames[0] ?? '', this.scheduler, maxModelLen * maxNumSeqs)
    response.writeHead(200, { ...answerHeaders, 'content-type': 'text/plain; version=1.0.0; charset=utf-8' })
    response.end(page)
  }

  async #generate(kind: 'chat' | 'completion', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const ask = readGeneration(kind, await readJson(request), this.settings)
    const generation = new Generation(this, ask, this.#nextId(kind === 'chat' ? 'chatcmpl' : 'cmpl'), response)
    this.#live.add(generation)
    response.on('close', () => {
      this.#live.delete(generation)
      this.changed()
    })
    generation.start()
  }

  async #embed(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const ask = readEmbedding(await readJson(request), this.settings)
    this.metrics.promptTokens += ask.promptTokens
    const wishes = { ...ask, id: this.#nextId('embd'), created: Math.floor(Date.now() / 1000) }
    if (this.scheduler.stuck) return
    this.#send(response, 200, embeddingAnswer(ask.texts, ask.promptTokens, wishes))
  }

  #nextId(prefix: string): string {
    this.#serial += 1
    return `${prefix}-${this.settings.seed.toString(16)}${this.#serial.toString(16).padStart(15, '0')}`
  }

  #send(response: ServerResponse, status: number, body: object) {
    const text = JSON.stringify(body)
    const length = { 'content-length': Buffer.byteLength(text), 'content-type': 'application/json' }
    response.writeHead(status, { ...answerHeaders, ...length })
    const { slowMsPerByte } = this.#faults
    if (slowMsPerByte) dribble(response, text, slowMsPerByte, () => response.end())
    else response.end(text)
  }

  #refuse(response: ServerResponse, error: unknown) {
    // The client may have gone while its body was read; there is nobody to tell.
    if (response.destroyed || response.headersSent) return
    if (error instanceof SimRefusal) return this.#send(response, error.status, error.body)
    const message = error instanceof Error ? error.message : String(error)
    this.#send(response, 500, { error: { message, type: 'InternalServerError', param: null, code: 500 } })
  }
}

/** The process around one engine: output to stdout, SIGTERM as the real engine takes it, an exit code at the end. */
export async function runSimEngine(options: SimOptions, unknown: readonly string[]): Promise<number> {
  const log = (text: string) => void process.stdout.write(text)
  const settings = { ...options, log }
  if (unknown.length > 0) return printFailure('unknown_argument', withDefaults(settings), unknown).code
  const stop = new AbortController()
  const stopped = new Promise<'stopped'>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.on(name, () => {
        resolve('stopped')
        if (options.faults?.stop !== 'hang') stop.abort(new SimExit(0))
      })
    }
  })
  try {
    const engine = await startSimEngine(settings, stop.signal)
    const end = await Promise.race([stopped, engine.died])
    if (end !== 'stopped') return end
    await engine.close()
    return 0
  } catch (error) {
    if (error instanceof SimExit) return error.code
    throw error
  }
}
