import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { ClientResponse } from './client-response.ts'

const chunkEnd = Buffer.from('\r\n')
const lastChunk = Buffer.from('0\r\n\r\n')
const http11 = { httpVersionMinor: 1 }

let date = ''
let dateEnds = 0

/** The date of the answer, made once a second. */
function dateNow(): string {
  const now = Date.now()
  if (now >= dateEnds || now < dateEnds - 1_000) {
    dateEnds = now - (now % 1_000) + 1_000
    date = new Date(now).toUTCString()
  }
  return date
}

/** The answer to one request of the short lane, written to the socket without anything between. */
export class LaneResponse implements ClientResponse {
  readonly req = http11
  readonly socket: Socket
  headersSent = false
  shouldKeepAlive = true
  /** Set by `writeHead` where neither a length nor a framing was named. */
  chunkedEncoding = false
  ended = false
  readonly #over: (response: LaneResponse) => void
  #head: string | null = null
  #gone: (() => void) | null = null

  /** `over`: called once, when the last byte was handed to the socket. */
  constructor(socket: Socket, over: (response: LaneResponse) => void) {
    this.socket = socket
    this.#over = over
  }

  get destroyed(): boolean {
    return this.socket.destroyed
  }

  /** Header names and values must hold no control characters; engines' were checked when they were read. */
  writeHead(status: number, headers: readonly string[]) {
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`
    let framed = false
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      if (name === 'content-length' || name === 'transfer-encoding') framed = true
      head += `${name}: ${headers[i + 1]}\r\n`
    }
    this.chunkedEncoding = !framed
    if (!framed) head += 'transfer-encoding: chunked\r\n'
    this.headersSent = true
    this.#head = `${head}date: ${dateNow()}\r\nconnection: ${this.shouldKeepAlive ? 'keep-alive' : 'close'}\r\n\r\n`
  }

  flushHeaders() {
    const head = this.#takeHead()
    if (head !== '') this.socket.write(head, 'latin1')
  }

  write(bytes: Buffer): boolean {
    this.socket.cork()
    this.flushHeaders()
    if (this.chunkedEncoding) this.socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1')
    const kept = this.socket.write(bytes)
    if (this.chunkedEncoding) this.socket.write(chunkEnd)
    this.socket.uncork()
    return kept
  }

  end(data?: Buffer | string, encoding?: BufferEncoding) {
    if (this.ended) return
    if (typeof data === 'string' && !this.chunkedEncoding) this.socket.write(this.#takeHead() + data, encoding)
    else this.#endInPieces(typeof data === 'string' ? Buffer.from(data, encoding) : data)
    this.ended = true
    this.#over(this)
  }

  #endInPieces(bytes: Buffer | undefined) {
    this.socket.cork()
    if (bytes && bytes.length > 0) this.write(bytes)
    else this.flushHeaders()
    if (this.chunkedEncoding) this.socket.write(lastChunk)
    this.socket.uncork()
  }

  #takeHead(): string {
    const head = this.#head ?? ''
    this.#head = null
    return head
  }

  destroy() {
    this.socket.destroy()
  }

  on(_event: 'close', listener: () => void) {
    this.#gone = listener
  }

  /** The client hung up before the end. */
  gone() {
    if (!this.ended) this.#gone?.()
  }

  once(_event: 'drain', listener: () => void) {
    this.socket.once('drain', listener)
  }
}
