import type { Socket } from 'node:net'
import type { Asked } from './asked.ts'
import type { ClientResponse } from './client-response.ts'
import { type LaneHead, readLaneHead } from './lane-head.ts'
import { LaneResponse } from './lane-response.ts'
import type { Refusal } from './openai-error.ts'
import type { RoutedKey } from './route.ts'

/** What the lane does with a request, shared with the requests that `node:http` reads. */
export interface LaneDesk {
  /** Names the request, and gives its key, or why it is refused before its body is read. */
  admit(asked: Asked): RoutedKey | Refusal
  forward(response: ClientResponse, path: string, asked: Asked, key: RoutedKey, body: Buffer): void
  refuse(response: ClientResponse, refusal: Refusal, requestId: string): void
  failed(error: unknown): void
}

export interface LaneTimes {
  /** From the first byte of a request to the end of its head. */
  readonly headMs: number
  readonly requestMs: number
  readonly idleMs: number
}

const headEnd = Buffer.from('\r\n\r\n')
/** As `node:http` has it; longer heads are for it to refuse. */
const maxHeadBytes = 16_384
/** A client may send its next request early, but not all of them. */
const maxAhead = 65_536

/**
 * The short lane: connections whose requests are the plain ones of OpenAI's clients are read here, at a third of what
 * `node:http` costs. The first request that is anything else takes its connection over to `node:http`, for good.
 */
export class Lane {
  readonly desk: LaneDesk
  readonly times: LaneTimes
  readonly handOver: (socket: Socket) => void
  readonly #connections = new Set<LaneConnection>()
  readonly #timer: NodeJS.Timeout

  /** `handOver`: gives the socket, with all that was not answered, to `node:http`. */
  constructor(desk: LaneDesk, times: LaneTimes, handOver: (socket: Socket) => void) {
    this.desk = desk
    this.times = times
    this.handOver = handOver
    const shortest = Math.min(times.headMs, times.requestMs, times.idleMs)
    this.#timer = setInterval(() => this.#sweep(), Math.min(5_000, shortest / 2))
    this.#timer.unref()
  }

  take(socket: Socket) {
    this.#connections.add(new LaneConnection(this, socket))
  }

  left(connection: LaneConnection) {
    this.#connections.delete(connection)
  }

  #sweep() {
    const now = performance.now()
    for (const connection of this.#connections) connection.sweep(now)
  }

  /** Ends connections that carry nothing; the others end with their answer. */
  closeIdle() {
    clearInterval(this.#timer)
    for (const connection of this.#connections) connection.closeWhenIdle()
  }

  closeAll() {
    for (const connection of this.#connections) connection.destroy()
  }
}

/** `ended`: the last answer was given, and what still comes is not read. */
type State = 'idle' | 'head' | 'body' | 'answering' | 'ended'

class LaneConnection {
  readonly #lane: Lane
  readonly #socket: Socket
  #state: State = 'idle'
  /** When the state began, as of the last sweep: limits of many seconds need no better. */
  #since = 0
  #swept = performance.now()
  /** What was read and not used: the start of a head, or requests that came early. */
  #held: Buffer | null = null
  #head: LaneHead | null = null
  #key: RoutedKey | null = null
  #body: Buffer[] = []
  #missing = 0
  #response: LaneResponse | null = null
  #closing = false
  readonly #onData = (bytes: Buffer) => this.#read(bytes)
  // The half-close of a client is taken as its hanging up, as `node:http` takes it.
  readonly #onEnd = () => this.destroy()
  readonly #onError = () => this.destroy()
  readonly #onClose = () => this.#closed()

  constructor(lane: Lane, socket: Socket) {
    this.#lane = lane
    this.#socket = socket
    this.#since = this.#swept
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  destroy() {
    this.#socket.destroy()
  }

  closeWhenIdle() {
    this.#closing = true
    if (this.#state === 'idle') this.#socket.destroy()
    else if (this.#response) this.#response.shouldKeepAlive = false
  }

  sweep(now: number) {
    this.#swept = now
    const { headMs, requestMs, idleMs } = this.#lane.times
    const limits = { idle: idleMs, head: headMs, body: requestMs, answering: Number.POSITIVE_INFINITY, ended: headMs }
    if (now - this.#since > limits[this.#state]) this.#socket.destroy()
  }

  #enter(state: State) {
    this.#state = state
    this.#since = this.#swept
  }

  #read(bytes: Buffer) {
    try {
      if (this.#state === 'answering') this.#holdBack(bytes)
      else if (this.#state === 'body') this.#readBody(bytes)
      else if (this.#state !== 'ended') this.#readHead(this.#held === null ? bytes : Buffer.concat([this.#held, bytes]))
    } catch (error) {
      this.#lane.desk.failed(error)
      this.#socket.destroy()
    }
  }

  /** A request that came before the answer to the one in hand. */
  #holdBack(bytes: Buffer) {
    this.#held = this.#held === null ? bytes : Buffer.concat([this.#held, bytes])
    if (this.#held.length > maxAhead) this.#socket.pause()
  }

  #readHead(bytes: Buffer) {
    const end = bytes.indexOf(headEnd)
    if (end < 0 && bytes.length < maxHeadBytes && mayBePost(bytes)) {
      this.#held = bytes
      if (this.#state !== 'head') this.#enter('head')
      return
    }
    const head = end < 0 || end > maxHeadBytes ? null : readLaneHead(bytes.toString('latin1', 0, end))
    if (head === null) return this.#leave(bytes)
    this.#held = null
    this.#head = head
    this.#begin(head, bytes.subarray(end + 4))
  }

  #begin(head: LaneHead, rest: Buffer) {
    const { desk } = this.#lane
    const response = new LaneResponse(this.#socket, (ended) => this.#answered(ended))
    response.shouldKeepAlive = !this.#closing
    this.#response = response
    this.#enter('body')
    const { asked } = head
    const key = desk.admit(asked)
    if ('status' in key) {
      // The body is not wanted, so what follows on this connection would be read as a request.
      response.shouldKeepAlive &&= rest.length === asked.length
      this.#enter('answering')
      return desk.refuse(response, key, asked.requestId)
    }
    this.#key = key
    this.#missing = asked.length
    this.#readBody(rest)
  }

  #readBody(bytes: Buffer) {
    if (bytes.length < this.#missing) {
      this.#missing -= bytes.length
      if (bytes.length > 0) this.#body.push(bytes)
      return
    }
    const last = bytes.length === this.#missing ? bytes : bytes.subarray(0, this.#missing)
    this.#held = bytes.length === this.#missing ? null : bytes.subarray(this.#missing)
    const pieces = this.#body
    const body = pieces.length === 0 ? last : Buffer.concat([...pieces, last])
    if (pieces.length > 0) this.#body = []
    this.#enter('answering')
    const [head, key, response] = [this.#head, this.#key, this.#response]
    if (head && key && response) this.#lane.desk.forward(response, head.path, head.asked, key, body)
  }

  #answered(response: LaneResponse) {
    if (response !== this.#response) return
    this.#response = null
    this.#head = null
    this.#key = null
    if (!response.shouldKeepAlive || this.#closing) {
      this.#enter('ended')
      this.#held = null
      this.#socket.resume().end()
    } else if (this.#held === null) this.#enter('idle')
    // Not from within the answer: many early requests must not stack up.
    else setImmediate(() => this.#nextHeld())
  }

  #nextHeld() {
    const held = this.#held
    if (held === null || this.#socket.destroyed) return
    this.#held = null
    this.#enter('idle')
    this.#socket.resume()
    this.#read(held)
  }

  /** Gives the connection to `node:http`, which gets every byte that was not answered. */
  #leave(unread: Buffer) {
    const socket = this.#socket
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    socket.off('error', this.#onError)
    socket.off('close', this.#onClose)
    socket.pause()
    socket.unshift(unread)
    this.#held = null
    this.#lane.left(this)
    this.#lane.handOver(socket)
    socket.resume()
  }

  #closed() {
    this.#lane.left(this)
    this.#response?.gone()
  }
}

/** What does not begin like a POST goes to `node:http` at once, so that it may judge half a head too. */
function mayBePost(bytes: Buffer): boolean {
  const start = bytes.toString('latin1', 0, Math.min(bytes.length, 9))
  return 'POST /v1/'.startsWith(start)
}
