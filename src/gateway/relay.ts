import { completesNothing } from '../core/engine-presets.ts'
import { playgroundKeyId, servedByHeader } from '../wire/gateway.ts'
import { reverse } from '../wire/paths.ts'
import type { ClientResponse } from './client-response.ts'
import type { AnswerHead, BodyFraming } from './framing.ts'
import { errorEvent, normalisedError, type Refusal, refusals } from './openai-error.ts'
import { passedHeaders, retryAfter } from './passed-headers.ts'
import type { NodePool, Waiter } from './pool.ts'
import { PlainAnswer } from './relay-plain.ts'
import { isEventStream, payload, StreamAnswer } from './relay-stream.ts'
import type { AnswerReader, NodeSocket } from './upstream.ts'
import type { Spent } from './usage.ts'

/** A client's request, read and allowed. */
export interface Call {
  readonly keyId: string
  readonly model: string
  readonly path: string
  readonly requestId: string
  /** Head of the request to the node, without its closing empty line. */
  readonly head: string
  readonly body: Buffer
  readonly streams: boolean
  /** The gateway asked for the usage event, the client did not. */
  readonly stripUsage: boolean
}

export interface RelayTimes {
  readonly headersTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly queueTimeoutMs: number
  readonly pingMs: number
  readonly earlyHeadersMs: number
}

export interface RelayHost {
  readonly times: RelayTimes
  /** Monotonic ms as of the last sweep: deadlines need no better, and a clock call for each chunk is saved. */
  readonly coarseNow: number
  /** The requests that wait for a node to come, each with its body in memory: no more than `maxNodeless`. */
  readonly nodeless: Set<Relay>
  readonly maxNodeless: number
  choose(model: string, tried: readonly NodePool[]): NodePool | null
  /** Every relay tells its end once. `pool`: the last node that had it. */
  over(relay: Relay, spent: Spent, pool: NodePool | null): void
  retried(): void
  /** A request met a fault of the node. */
  failed(pool: NodePool): void
  /** Ends the answer with an error that the gateway or a node caused. */
  refuse(response: ClientResponse, refusal: Refusal, requestId: string): void
}

/** The first try and two more, each on another node. */
const maxTries = 3
/** How long a request waits for a node where none serves: the next table may have one, or an agent dial again. */
const nodeWaitMs = 1_000
const maxErrorBytes = 65_536
/** The agent or something before the engine could not serve it; another node may. */
const retryable = (status: number) => status === 502 || status === 503 || status === 504
/** The node is at fault; an engine that cannot do what was asked is well. */
const isFault = (status: number) => status >= 500 && !completesNothing(status)

/** One request of a client, from the choice of a node to the last byte of the answer. */
export class Relay implements AnswerReader, Waiter {
  readonly call: Call
  readonly #host: RelayHost
  readonly #response: ClientResponse
  readonly #tried: NodePool[] = []
  readonly #startedAt = performance.now()
  #firstTokenMs: number | null = null
  #state: 'choosing' | 'waiting' | 'asked' | 'answering' | 'over' = 'choosing'
  #pool: NodePool | null = null
  /** For the account of a request that failed everywhere. */
  #lastPool: NodePool | null = null
  #socket: NodeSocket | null = null
  #stream: StreamAnswer | null = null
  #plain: PlainAnswer | null = null
  #error: { status: number; retryAfterS: number | null; pieces: Buffer[]; size: number } | null = null
  /** Coarse time of the last step of the state, and of the last byte to the client. */
  #since: number
  #wroteAt: number
  #paused = false

  constructor(host: RelayHost, call: Call, response: ClientResponse) {
    this.#host = host
    this.call = call
    this.#response = response
    this.#since = host.coarseNow
    this.#wroteAt = host.coarseNow
    response.on('close', () => this.#clientGone())
  }

  /** Asks for a node where it has none yet: at the start, and whenever there may be another. */
  choose() {
    if (this.#state === 'choosing') this.#next(null, null)
  }

  // ---- the choice of a node

  #next(sameNode: NodePool | null, failure: Refusal | null) {
    const pool = this.#tried.length < maxTries ? (this.#host.choose(this.call.model, this.#tried) ?? sameNode) : null
    if (!pool) {
      if (failure === null && this.#awaitsNode()) return
      return this.#refuse(failure ?? refusals.noNode(this.call.model))
    }
    this.#host.nodeless.delete(this)
    if (this.#tried.length > 0) this.#host.retried()
    this.#tried.push(pool)
    this.#pool = pool
    this.#since = this.#host.coarseNow
    if (pool.inFlight === 0) pool.busySince = this.#since
    pool.inFlight += 1
    const socket = pool.take()
    if (socket) return this.ready(socket)
    this.#state = 'waiting'
    if (pool.wait(this)) return
    this.#leavePool()
    this.#next(null, refusals.queueFull(this.call.model))
  }

  #awaitsNode(): boolean {
    const { nodeless, maxNodeless, coarseNow } = this.#host
    if (this.#state !== 'choosing' || coarseNow - this.#since >= nodeWaitMs) return false
    if (!nodeless.has(this) && nodeless.size >= maxNodeless) return false
    nodeless.add(this)
    return true
  }

  ready(socket: NodeSocket) {
    const hint = this.#pool?.dialHint() ?? 0
    this.#state = 'asked'
    this.#socket = socket
    this.#since = this.#host.coarseNow
    const { head, body } = this.call
    socket.send(hint > 0 ? `${head}${reverse.dialHeader}: ${hint}\r\n\r\n` : `${head}\r\n`, body, this)
  }

  gone() {
    this.#leavePool()
    this.#state = 'choosing'
    this.#since = this.#host.coarseNow
    this.choose()
  }

  #leavePool() {
    if (!this.#pool) return
    this.#pool.inFlight -= 1
    this.#pool = null
  }

  // ---- the answer

  head(head: AnswerHead) {
    this.#state = 'answering'
    this.#since = this.#host.coarseNow
    const { status } = head
    if (status >= 400) {
      this.#error = { status, retryAfterS: retryAfter(head), pieces: [], size: 0 }
    } else if (status >= 300) {
      // An engine has nothing to redirect to; following it would let a node choose where requests go.
      this.#socket?.fail(`The node answered with status ${status}.`)
    } else if (isEventStream(head)) {
      this.#stream ??= new StreamAnswer(this.#response, this.#passedHeaders(head), this.call.stripUsage)
    } else if (this.#stream) {
      this.#socket?.fail('The node answered with something that is not a stream.')
    } else {
      this.#plain = new PlainAnswer(this.#response, head, this.#passedHeaders(head))
    }
  }

  #passedHeaders(head: AnswerHead): string[] {
    const passed = passedHeaders(head, this.call.requestId)
    // Which machines there are is nothing that clients are told.
    if (this.call.keyId === playgroundKeyId && this.#pool) passed.push(servedByHeader, this.#pool.node.name)
    return passed
  }

  body(bytes: Buffer, framing: BodyFraming, from: number, to: number, verbatim: boolean, last: boolean) {
    const now = this.#host.coarseNow
    this.#since = now
    if (this.#error) return this.#errorBody(bytes, framing, last)
    this.#wroteAt = now
    if (this.#firstTokenMs === null && this.#stream) this.#firstTokenMs = performance.now() - this.#startedAt
    const passed = this.#plain
      ? this.#plain.body(bytes, framing, last)
      : (this.#stream?.body(bytes, framing, from, to, verbatim, last) ?? 'failed')
    if (passed === 'more') return
    if (passed === 'slow') return this.#pause()
    if (!last) this.#socket?.destroy()
    if (passed !== 'complete' && this.#pool) this.#host.failed(this.#pool)
    this.#finish(passed === 'complete' ? 'ok' : 'failed')
  }

  broken(why: string, silent: boolean) {
    if (this.#state === 'over') return
    this.#socket = null
    const pool = this.#pool
    // A spare that was dead already says nothing about its node, so the same one may be asked again.
    if (pool && !silent) this.#host.failed(pool)
    if (this.#hasBegun) return this.#brokenLate(why)
    this.#again(silent && pool?.serves ? pool : null, refusals.nodeFailed(why))
  }

  /** A piece of the answer is with the client, so no other node can give it. */
  get #hasBegun(): boolean {
    return this.#stream ? this.#stream.begun : this.#response.headersSent
  }

  #again(sameNode: NodePool | null, failure: Refusal) {
    this.#plain = null
    this.#error = null
    // A head that is with the client already is that of the next answer.
    if (!this.#response.headersSent) this.#stream = null
    this.#lastPool = this.#pool
    this.#leavePool()
    this.#next(sameNode, failure)
  }

  /** Nobody answers at this node: where another one is well, it gets what has not begun. */
  moveFrom(pool: NodePool) {
    if (this.#pool !== pool || this.#hasBegun || this.#tried.length >= maxTries) return
    const other = this.#host.choose(this.call.model, this.#tried)
    if (!other || other.doubtful || other.ejectedUntil !== null) return
    if (this.#state === 'waiting') pool.leave(this)
    this.#socket?.destroy()
    this.#socket = null
    this.#again(null, refusals.nodeSilent())
  }

  #brokenLate(why: string) {
    if (this.#stream) return this.#finish(this.#stream.broken(why) === 'complete' ? 'ok' : 'failed')
    // A plain answer cannot carry an error behind its first bytes; a cut connection is what clients understand.
    this.#response.destroy()
    this.#finish('failed')
  }

  #errorBody(bytes: Buffer, framing: BodyFraming, last: boolean) {
    const error = this.#error
    if (!error) return
    for (const piece of payload(bytes, framing)) {
      error.size += piece.length
      if (error.size <= maxErrorBytes) error.pieces.push(Buffer.from(piece))
    }
    if (last) return this.#errorDone(error.status, error.retryAfterS, Buffer.concat(error.pieces).toString())
    if (error.size <= maxErrorBytes) return
    this.#socket?.destroy()
    this.#errorDone(error.status, error.retryAfterS, '')
  }

  #errorDone(status: number, retryAfterS: number | null, text: string) {
    const refusal: Refusal = {
      status,
      error: normalisedError(status, text, this.call.path),
      retryAfterS: status === 503 ? (retryAfterS ?? 5) : retryAfterS,
    }
    this.#socket = null
    if (this.#pool && isFault(status)) this.#host.failed(this.#pool)
    if (retryable(status) && !this.#hasBegun) this.#again(null, refusal)
    else this.#refuse(refusal)
  }

  #pause() {
    if (this.#paused) return
    this.#paused = true
    this.#socket?.pause()
    const drainer = this.#stream?.drainer ?? this.#response
    drainer.once('drain', () => {
      this.#paused = false
      this.#since = this.#host.coarseNow
      this.#socket?.resume()
    })
  }

  // ---- ends

  #refuse(refusal: Refusal) {
    if (this.#stream) this.#stream.refuse(errorEvent(refusal.error))
    else this.#host.refuse(this.#response, refusal, this.call.requestId)
    this.#finish(refusal.status >= 500 ? 'failed' : 'ok')
  }

  #clientGone() {
    if (this.#state === 'over') return
    this.#socket?.destroy()
    this.#finish('aborted')
  }

  #finish(outcome: Spent['outcome']) {
    if (this.#state === 'over') return
    const pool = this.#pool ?? this.#lastPool
    if (this.#state === 'waiting') this.#pool?.leave(this)
    this.#state = 'over'
    // The socket goes back to its pool and must not be touched from here.
    this.#socket = null
    this.#leavePool()
    const tokens = this.#stream ? this.#stream.scan.usage : (this.#plain?.tokens ?? null)
    const spent: Spent = {
      keyId: this.call.keyId,
      nodeId: pool?.node.id ?? '',
      model: this.call.model,
      outcome,
      promptTokens: tokens?.prompt ?? 0,
      completionTokens: tokens?.completion ?? this.#stream?.scan.chunks ?? 0,
      estimated: tokens === null,
      durationMs: performance.now() - this.#startedAt,
      firstTokenMs: this.#firstTokenMs,
    }
    this.#host.over(this, spent, pool)
  }

  /** Ends it because the gateway ends. */
  cut() {
    if (this.#state === 'over') return
    this.#socket?.destroy()
    if (this.#response.headersSent) this.#brokenLate('The gateway was stopped.')
    else this.#refuse(refusals.stopping())
  }

  // ---- time

  /** Called every so often with monotonic ms: deadlines, keep-alive comments, early heads. */
  sweep(now: number) {
    const { queueTimeoutMs, headersTimeoutMs, idleTimeoutMs, earlyHeadersMs, pingMs } = this.#host.times
    this.choose()
    const silentMs = now - this.#since
    // Here and not with each piece of a stream, which would cost more than the piece.
    if (this.#state === 'answering' && this.#pool && this.#since > this.#pool.heardAt) this.#pool.heardAt = this.#since
    if (this.#state === 'waiting' && silentMs > queueTimeoutMs) return this.#refuse(refusals.queueFull(this.call.model))
    if (this.#state === 'asked' && silentMs > headersTimeoutMs) return this.#timedOut()
    if (this.#state === 'answering' && silentMs > idleTimeoutMs) return this.#stalled()
    if (this.#state === 'asked' && this.call.streams && !this.#stream && silentMs >= earlyHeadersMs)
      this.#openEarly(now)
    if (this.#stream && !this.#paused && now - this.#wroteAt >= pingMs) {
      this.#wroteAt = now
      this.#stream.ping()
    }
  }

  #openEarly(now: number) {
    const headers = ['content-type', 'text/event-stream; charset=utf-8', 'x-request-id', this.call.requestId]
    this.#stream = new StreamAnswer(this.#response, headers, this.call.stripUsage)
    this.#stream.flush()
    this.#wroteAt = now - this.#host.times.pingMs
  }

  #timedOut() {
    this.#socket?.destroy()
    if (this.#pool) this.#host.failed(this.#pool)
    this.#refuse(refusals.nodeSilent())
  }

  #stalled() {
    this.#socket?.destroy()
    // While we hold the engine back, the one who is silent is the client.
    if (this.#paused) {
      this.#response.destroy()
      return this.#finish('aborted')
    }
    if (this.#pool) this.#host.failed(this.#pool)
    if (this.#response.headersSent) this.#brokenLate('The node fell silent.')
    else this.#refuse(refusals.nodeSilent())
  }
}
