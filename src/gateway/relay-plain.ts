import type { ClientResponse } from './client-response.ts'
import type { AnswerHead, BodyFraming } from './framing.ts'
import { type Passed, payload } from './relay-stream.ts'
import { type Tokens, tailBytes, tokensInTail } from './tokens.ts'

const oneWriteBelow = 16_384

/** A plain answer on its way from the engine to the client; its bytes are never parsed. */
export class PlainAnswer {
  tokens: Tokens | null = null
  readonly #response: ClientResponse
  readonly #head: AnswerHead
  readonly #headers: string[]
  #tail: Buffer | null = null

  constructor(response: ClientResponse, head: AnswerHead, headers: string[]) {
    this.#response = response
    this.#head = head
    this.#headers = headers
  }

  body(bytes: Buffer, framing: BodyFraming, last: boolean): Passed {
    const pieces = payload(bytes, framing)
    const piece = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
    this.#keepTail(piece)
    const response = this.#response
    if (!response.headersSent) {
      // Mostly the whole answer comes in one read; then its length is known however the engine framed it.
      if (last) this.#headers.push('content-length', String(piece.length))
      else if (this.#head.body === 'length') this.#headers.push('content-length', String(this.#head.length))
      response.writeHead(this.#head.status, this.#headers)
    }
    if (!last) return piece.length === 0 || response.write(piece) ? 'more' : 'slow'
    if (this.#tail !== null) this.tokens = tokensInTail(this.#tail)
    // As text of one byte a character, head and body leave in one buffer and one system call.
    if (piece.length < oneWriteBelow) response.end(piece.toString('latin1'), 'latin1')
    else response.end(piece)
    return 'complete'
  }

  #keepTail(piece: Buffer) {
    const tail = piece.length >= tailBytes || this.#tail === null ? piece : Buffer.concat([this.#tail, piece])
    this.#tail = tail.length > tailBytes ? tail.subarray(-tailBytes) : tail
  }
}
