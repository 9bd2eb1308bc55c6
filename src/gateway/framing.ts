/** The engine's bytes are not HTTP as we accept it. The connection must not be used again. */
export class FramingBroken extends Error {}

export type BodyKind = 'none' | 'length' | 'chunked' | 'close'

/** The head of an answer. */
export interface AnswerHead {
  readonly status: number
  /** Names in lower case at even places, each followed by its value. */
  readonly headers: readonly string[]
  readonly contentType: string
  readonly body: BodyKind
  /** Bytes of a `length` body, else 0. */
  readonly length: number
  /** Whether the connection may carry another request afterwards. */
  readonly keepAlive: boolean
}

// One match over the whole head is far cheaper than several a line. Values hold no control character but the tab.
const wellFormed =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there.
  /^HTTP\/1\.[01] [1-5]\d\d(?: [^\0-\x08\x0a-\x1f\x7f]*)?(?:\r\n[\w!#$%&'*+.^`|~-]+:[^\0-\x08\x0a-\x1f\x7f]*)*$/
const digits = /^\d{1,15}$/

/** Reads a head given without its closing empty line. Stricter than the RFC: what is unusual is refused, not guessed. */
export function parseHead(text: string): AnswerHead {
  if (!wellFormed.test(text)) throw new FramingBroken('The head of the answer is not one of HTTP/1.')
  const headers: string[] = []
  const found: Found = { length: null, coding: null, connection: '', contentType: '' }
  let from = text.indexOf('\r\n')
  while (from >= 0) {
    const next = text.indexOf('\r\n', from + 2)
    readField(next < 0 ? text.slice(from + 2) : text.slice(from + 2, next), headers, found)
    from = next
  }
  const status = Number(text.slice(9, 12))
  const old = text[7] === '0'
  const { body, length } = bodyOf(status, old, found.length, found.coding)
  const connection = found.connection.toLowerCase()
  const asked = old ? connection.includes('keep-alive') : !connection.includes('close')
  return { status, headers, contentType: found.contentType, body, length, keepAlive: asked && body !== 'close' }
}

interface Found {
  length: string | null
  coding: string | null
  connection: string
  contentType: string
}

function readField(line: string, headers: string[], found: Found) {
  const colon = line.indexOf(':')
  const name = line.slice(0, colon).toLowerCase()
  const value = line.slice(colon + 1).trim()
  headers.push(name, value)
  switch (name) {
    case 'content-length':
      if (found.length !== null && found.length !== value) throw new FramingBroken('Two lengths for one answer.')
      found.length = value
      break
    case 'transfer-encoding':
      if (found.coding !== null) throw new FramingBroken('Two transfer encodings for one answer.')
      found.coding = value.toLowerCase()
      break
    case 'connection':
      found.connection += `${value},`
      break
    case 'content-type':
      found.contentType = value
  }
}

function bodyOf(status: number, old: boolean, length: string | null, coding: string | null) {
  // Both, or a coding that we do not speak, is how requests are smuggled: two readers would see two ends.
  if (coding !== null && (length !== null || old || coding !== 'chunked'))
    throw new FramingBroken('The transfer encoding of the answer is ambiguous.')
  if (length !== null && !digits.test(length)) throw new FramingBroken('The length of the answer is not a number.')
  if (status < 200 || status === 204 || status === 304) return { body: 'none' as const, length: 0 }
  if (coding !== null) return { body: 'chunked' as const, length: 0 }
  if (length === null) return { body: 'close' as const, length: 0 }
  return { body: 'length' as const, length: Number(length) }
}

const atSize = 0
const inSize = 1
const sizeLf = 2
const inData = 3
const dataCr = 4
const dataLf = 5
const endCr = 6
const endLf = 7

// 7 hex digits are 256 MiB in one chunk; an engine sends a token.
const maxSizeDigits = 7

/** Finds the end of one answer's body. Holds no bytes: payload is told as ranges of the buffer that was read. */
export class BodyFraming {
  done = false
  /** Payload of the last `read`: start, end, start, end, ... */
  ranges: readonly number[] = []
  #kind: BodyKind = 'none'
  #left = 0
  #state = atSize
  #digits = 0

  begin(head: AnswerHead) {
    this.#kind = head.body
    this.#left = head.length
    this.#state = atSize
    this.#digits = 0
    this.ranges = []
    this.done = head.body === 'none' || (head.body === 'length' && head.length === 0)
  }

  /** True between two chunks: what was read so far is whole chunks, as the engine framed them. */
  get betweenChunks(): boolean {
    return this.#kind === 'chunked' && (this.done || this.#state === atSize)
  }

  /** Reads from `at`; returns where the body ends or the buffer does. */
  read(bytes: Buffer, at: number): number {
    if (this.done) {
      this.ranges = []
      return at
    }
    if (this.#kind === 'chunked') return this.#chunks(bytes, at)
    const end = this.#kind === 'close' ? bytes.length : Math.min(bytes.length, at + this.#left)
    this.ranges = end > at ? [at, end] : []
    if (this.#kind === 'length') {
      this.#left -= end - at
      this.done = this.#left === 0
    }
    return end
  }

  /** The connection was closed by the engine: true when that is how this body ends. */
  closed(): boolean {
    if (this.#kind === 'close') this.done = true
    return this.done
  }

  #chunks(bytes: Buffer, from: number): number {
    const ranges: number[] = []
    let at = from
    while (at < bytes.length && !this.done) {
      if (this.#state === inData) {
        const end = Math.min(bytes.length, at + this.#left)
        ranges.push(at, end)
        this.#left -= end - at
        if (this.#left === 0) this.#state = dataCr
        at = end
      } else this.#frame(bytes[at++] as number)
    }
    this.ranges = ranges
    return at
  }

  /** One byte between payloads. */
  #frame(byte: number) {
    switch (this.#state) {
      case atSize:
      case inSize:
        return this.#size(byte)
      case sizeLf:
        this.#expect(byte, 10, this.#left === 0 ? endCr : inData)
        return
      case dataCr:
        return this.#expect(byte, 13, dataLf)
      case dataLf:
        this.#digits = 0
        return this.#expect(byte, 10, atSize)
      case endCr:
        return this.#expect(byte, 13, endLf)
      default:
        this.#expect(byte, 10, atSize)
        this.done = true
    }
  }

  #size(byte: number) {
    if (byte === 13 && this.#state === inSize) {
      this.#state = sizeLf
      return
    }
    const digit = hexDigit(byte)
    // Neither extensions nor blanks: another reader might see another size in them.
    if (digit < 0 || ++this.#digits > maxSizeDigits) throw new FramingBroken('A chunk size is not plain hex.')
    this.#left = (this.#state === atSize ? 0 : this.#left * 16) + digit
    this.#state = inSize
  }

  #expect(byte: number, wanted: number, next: number) {
    if (byte !== wanted) throw new FramingBroken('A chunk does not end where its size says.')
    this.#state = next
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}
