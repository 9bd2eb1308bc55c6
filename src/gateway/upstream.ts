import type { Socket } from 'node:net'
import { type AnswerHead, BodyFraming, FramingBroken, parseHead } from './framing.ts'

/** Who reads the answer to the one request that a socket carries. After `last` or `broken` nothing more is told. */
export interface AnswerReader {
  head(head: AnswerHead): void
  /**
   * A piece of the body: its payload is `framing.ranges` of `bytes`. `verbatim`: bytes from `from` to `to` are whole
   * chunks as the engine framed them.
   */
  body(bytes: Buffer, framing: BodyFraming, from: number, to: number, verbatim: boolean, last: boolean): void
  /** `silent`: not one byte of an answer was seen, so the socket may simply have been dead. */
  broken(why: string, silent: boolean): void
}

export interface SocketOwner {
  /** The socket has carried its request to the end and may carry another. */
  freed(socket: NodeSocket): void
  closed(socket: NodeSocket): void
}

const maxHeadBytes = 65_536
const headEnd = Buffer.from('\r\n\r\n')
const noBytes = Buffer.alloc(0)
/** Below this, one copy costs less than a second buffer in the system call. */
const copyBelow = 32_768

/** One connection to a node, reversed as a rule: the agent dialled, we ask. One request at a time, never pipelined. */
export class NodeSocket {
  /** For the trim of surplus spares: monotonic ms. */
  idleSince = 0
  /** We called the node, at its address; otherwise its agent called us. */
  readonly direct: boolean
  readonly #socket: Socket
  readonly #owner: SocketOwner
  readonly #framing = new BodyFraming()
  #reader: AnswerReader | null = null
  #head: AnswerHead | null = null
  #held: Buffer | null = null
  #closed = false

  constructor(socket: Socket, owner: SocketOwner, direct: boolean) {
    this.direct = direct
    this.#socket = socket
    this.#owner = owner
    socket.setNoDelay(true)
    // A NAT box forgets silent connections; 15 s is below every default that we know of.
    socket.setKeepAlive(true, 15_000)
    socket.setTimeout(0)
    socket.on('data', (bytes: Buffer) => this.#read(bytes))
    socket.on('end', () => this.#ended())
    socket.on('error', (error: Error) => this.#end(error.message))
    socket.on('close', () => this.#end('The connection to the node was closed.'))
    socket.resume()
  }

  get busy(): boolean {
    return this.#reader !== null
  }

  send(head: string, body: Buffer, reader: AnswerReader) {
    this.#reader = reader
    const socket = this.#socket
    if (body.length < copyBelow) {
      const bytes = Buffer.allocUnsafe(head.length + body.length)
      bytes.write(head, 0, 'latin1')
      bytes.set(body, head.length)
      socket.write(bytes)
      return
    }
    socket.cork()
    socket.write(head, 'latin1')
    socket.write(body)
    socket.uncork()
  }

  pause() {
    this.#socket.pause()
  }

  resume() {
    this.#socket.resume()
  }

  /** Ends the connection at once and tells its reader nothing: the agent sees the abort and stops the engine. */
  destroy() {
    this.#reader = null
    this.#end('')
  }

  /** Ends the connection and tells its reader why. */
  fail(why: string) {
    this.#end(why)
  }

  #read(bytes: Buffer) {
    try {
      if (this.#reader === null) this.#end('The node spoke without being asked.')
      else if (this.#head === null) this.#readHead(bytes)
      else this.#readBody(bytes, 0)
    } catch (error) {
      // A fault in a reader is ours, but this connection is where it can be contained: others stay untouched.
      this.#end(error instanceof FramingBroken ? error.message : `Internal: ${(error as Error).stack}`)
    }
  }

  #readHead(fresh: Buffer) {
    const bytes = this.#held === null ? fresh : Buffer.concat([this.#held, fresh])
    const end = bytes.indexOf(headEnd)
    if (end > maxHeadBytes || (end < 0 && bytes.length > maxHeadBytes))
      throw new FramingBroken('The head of the answer is too long.')
    if (end < 0) {
      this.#held = bytes
      return
    }
    this.#held = null
    const head = parseHead(bytes.toString('latin1', 0, end))
    const rest = end + 4
    if (head.status < 200) {
      if (head.status === 101) throw new FramingBroken('The node switched protocols.')
      if (rest < bytes.length) this.#readHead(bytes.subarray(rest))
      return
    }
    this.#head = head
    this.#framing.begin(head)
    this.#reader?.head(head)
    if (rest < bytes.length || this.#framing.done) this.#readBody(bytes, rest)
  }

  #readBody(bytes: Buffer, from: number) {
    const reader = this.#reader
    const framing = this.#framing
    if (reader === null) return
    const aligned = framing.betweenChunks
    const to = framing.read(bytes, from)
    if (!framing.done) {
      reader.body(bytes, framing, from, to, aligned && framing.betweenChunks, false)
      return
    }
    if (to < bytes.length) throw new FramingBroken('The node sent bytes after the end of its answer.')
    this.#finish(reader, bytes, from, to, aligned)
  }

  #finish(reader: AnswerReader, bytes: Buffer, from: number, to: number, verbatim: boolean) {
    const again = this.#head?.keepAlive === true
    this.#reader = null
    this.#head = null
    reader.body(bytes, this.#framing, from, to, verbatim, true)
    if (this.#closed) return
    if (again) this.#owner.freed(this)
    else this.#end('')
  }

  /** The node closed its side. For a body that ends so, that is the end; for all others it is a break. */
  #ended() {
    const reader = this.#reader
    if (reader !== null && this.#head !== null && this.#framing.closed()) {
      this.#framing.read(noBytes, 0)
      this.#finish(reader, noBytes, 0, 0, false)
    }
    this.#end('The node closed the connection.')
  }

  #end(why: string) {
    if (this.#closed) return
    this.#closed = true
    const reader = this.#reader
    const silent = this.#head === null && this.#held === null
    this.#reader = null
    this.#socket.destroy()
    this.#owner.closed(this)
    reader?.broken(why, silent)
  }
}
