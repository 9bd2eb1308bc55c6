// The gateway: OpenAI's API for clients, spoken over connections that the nodes' agents dial.
// Deliberately absent: the database, and any need of control to route a request.
import { reverse } from '../wire/paths.ts'
import type { AnswerHead, BodyFraming } from './framing.ts'
import type { NodePool, Waiter } from './pool.ts'
import { payload } from './relay-stream.ts'
import type { AnswerReader, NodeSocket } from './upstream.ts'

export interface Question {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: string
}

export interface NodeAnswer {
  readonly status: number
  readonly body: string
}

/** The node said nothing in time. */
export class NoAnswer extends Error {
  /** False: no connection to ask over became free. */
  readonly asked: boolean

  constructor(what: string, timeoutMs: number, asked: boolean) {
    super(`No answer to ${what} within ${timeoutMs} ms.`)
    this.asked = asked
  }
}

const maxAnswerBytes = 1_048_576

/** Asks a node something of our own, a probe or a nudge, over one of its sockets. Rejects in plain words, with `NoAnswer` for silence. */
export function ask(pool: NodePool, question: Question, timeoutMs: number): Promise<NodeAnswer> {
  return new Promise((resolve, reject) => new Asker(pool, question, timeoutMs, resolve, reject).start())
}

class Asker implements AnswerReader, Waiter {
  readonly #pool: NodePool
  readonly #question: Question
  readonly #timeoutMs: number
  readonly #resolve: (answer: NodeAnswer) => void
  readonly #reject: (error: Error) => void
  readonly #pieces: Buffer[] = []
  #socket: NodeSocket | null = null
  #timer: NodeJS.Timeout | null = null
  #status = 0
  #size = 0
  #again = true

  constructor(
    pool: NodePool,
    question: Question,
    timeoutMs: number,
    resolve: (answer: NodeAnswer) => void,
    reject: (error: Error) => void,
  ) {
    this.#pool = pool
    this.#question = question
    this.#timeoutMs = timeoutMs
    this.#resolve = resolve
    this.#reject = reject
  }

  start() {
    // Where we were held up, the answer may lie there unread: what has come is read before the node is called silent.
    this.#timer = setTimeout(() => setImmediate(() => this.#late()), this.#timeoutMs)
    this.#take()
  }

  #late() {
    if (this.#timer) this.#fail(new NoAnswer(this.#what, this.#timeoutMs, this.#socket !== null))
  }

  get #what(): string {
    return `${this.#question.method} ${this.#question.path}`
  }

  #take() {
    if (this.#pool.sockets.size === 0) return this.#fail('The node has no connection to this gateway.')
    const socket = this.#pool.take()
    if (socket) this.ready(socket)
    else if (!this.#pool.wait(this)) this.#fail('Too many requests wait for the node.')
  }

  ready(socket: NodeSocket) {
    this.#socket = socket
    const { path, method, body = '' } = this.#question
    const bytes = Buffer.from(body)
    const hint = this.#pool.dialHint()
    const dial = hint > 0 ? `${reverse.dialHeader}: ${hint}\r\n` : ''
    const type = body === '' ? '' : 'content-type: application/json\r\n'
    const head = `${method} ${path} HTTP/1.1\r\nhost: node\r\n${type}${dial}content-length: ${bytes.length}\r\n\r\n`
    socket.send(head, bytes, this)
  }

  gone() {
    this.#fail('The node closed its connections.')
  }

  head(head: AnswerHead) {
    this.#status = head.status
  }

  body(bytes: Buffer, framing: BodyFraming, _from: number, _to: number, _verbatim: boolean, last: boolean) {
    for (const piece of payload(bytes, framing)) {
      this.#size += piece.length
      if (this.#size > maxAnswerBytes) return this.#fail(`The answer to ${this.#what} is too large.`)
      this.#pieces.push(Buffer.from(piece))
    }
    if (!last) return
    this.#socket = null
    this.#over()
    this.#pool.aliveAt = performance.now()
    this.#resolve({ status: this.#status, body: Buffer.concat(this.#pieces).toString() })
  }

  broken(why: string, silent: boolean) {
    this.#socket = null
    const again = silent && this.#again && this.#pool.sockets.size > 0
    this.#again = false
    // A spare that was dead already says nothing about the node.
    if (again) this.#take()
    else this.#fail(why)
  }

  #fail(why: string | NoAnswer) {
    this.#over()
    this.#socket?.destroy()
    this.#socket = null
    this.#reject(typeof why === 'string' ? new Error(why) : why)
  }

  #over() {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#pool.leave(this)
  }
}
