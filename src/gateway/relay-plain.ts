import type { ClientResponse } from './client-response.ts'
import type { AnswerHead, BodyFraming } from './framing.ts'
import { type Passed, payload } from './relay-stream.ts'
import { type Tokens, tailBytes, tokensInTail, tokensInText } from './tokens.ts'

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
    const response = this.#response
    if (last && !response.headersSent && piece.length < oneWriteBelow) return this.#whole(piece)
    this.#keepTail(piece)
    if (!response.headersSent) {
      // Where the engine gave no length, one that came in a single read is known all the same.
      if (last) this.#headers.push('content-length', String(piece.length))
      else if (this.#head.body === 'length') this.#headers.push('content-length', String(this.#head.length))
      response.writeHead(this.#head.status, this.#headers)
    }
    if (!last) return piece.length === 0 || response.write(piece) ? 'more' : 'slow'
    if (this.#tail !== null) this.tokens = tokensInTail(this.#tail)
    response.end(piece)
    return 'complete'
  }

  /** Mostly the whole answer comes in one read. As text of one byte a character, head and body leave in one write. */
  #whole(piece: Buffer): Passed {
    const text = piece.toString('latin1')
    this.tokens = tokensInText(text)
    this.#headers.push('content-length', String(piece.length))
    this.#response.writeHead(this.#head.status, this.#headers)
    this.#response.end(text, 'latin1')
    return 'complete'
  }

  #keepTail(piece: Buffer) {
    const tail = piece.length >= tailBytes || this.#tail === null ? piece : Buffer.concat([this.#tail, piece])
    this.#tail = tail.length > tailBytes ? tail.subarray(-tailBytes) : tail
  }
}
