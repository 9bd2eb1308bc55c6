import type { ClientResponse } from './client-response.ts'

const chunkEnd = Buffer.from('\r\n')
const lastChunk = Buffer.from('0\r\n\r\n')

/**
 * An event stream to one client, with its own chunk framing: chunks of the engine pass as they are, and `node:http`'s
 * own framing, which takes three buffers and a timer for each chunk, is left out.
 */
export class ClientStream {
  readonly #response: ClientResponse
  /** HTTP/1.0 knows no chunks: the stream ends with the connection. */
  readonly #chunked: boolean
  readonly #headers: string[]
  #begun = false

  constructor(response: ClientResponse, headers: string[]) {
    this.#response = response
    this.#chunked = response.req.httpVersionMinor > 0
    this.#headers = headers
  }

  /** Sends the head although there is no body yet. */
  flush() {
    this.#head()
    this.#response.flushHeaders()
  }

  /** Only with the first bytes: until then another node may still answer, with a head of its own. */
  #head() {
    const response = this.#response
    if (response.headersSent) return
    this.#headers.push(...(this.#chunked ? ['transfer-encoding', 'chunked'] : ['connection', 'close']))
    response.writeHead(200, this.#headers)
    response.chunkedEncoding = false
  }

  get speaksChunks(): boolean {
    return this.#chunked
  }

  /** What tells of a client that reads again after a write said false. */
  get drainer(): Pick<ClientResponse, 'once'> {
    return this.#response.socket ?? this.#response
  }

  /** Whole chunks as the engine framed them. False: the client is slow. */
  verbatim(bytes: Buffer): boolean {
    const { socket } = this.#response
    // Past the head, the response would only cork and uncork the socket around each chunk. Until an earlier pipelined
    // answer is over there is no socket, and the response holds what is written.
    return this.#begun && socket !== null ? socket.write(bytes) : this.#begin(bytes)
  }

  #begin(bytes: Buffer): boolean {
    this.#head()
    const kept = this.#response.write(bytes)
    this.#begun = true
    return kept
  }

  payload(pieces: readonly Buffer[]): boolean {
    const bytes = this.#framed(pieces)
    return bytes === null || this.verbatim(bytes)
  }

  /** Ends with whole chunks of the engine, its last one included. */
  endVerbatim(bytes: Buffer) {
    this.#head()
    this.#response.end(bytes)
  }

  end(pieces: readonly Buffer[]) {
    const bytes = this.#framed(pieces)
    this.#head()
    if (!this.#chunked) this.#response.end(bytes ?? undefined)
    else this.#response.end(bytes === null ? lastChunk : Buffer.concat([bytes, lastChunk]))
  }

  #framed(pieces: readonly Buffer[]): Buffer | null {
    let length = 0
    for (const piece of pieces) length += piece.length
    // An empty chunk would be the end.
    if (length === 0) return null
    if (!this.#chunked) return Buffer.concat(pieces)
    return Buffer.concat([Buffer.from(`${length.toString(16)}\r\n`, 'latin1'), ...pieces, chunkEnd])
  }
}
