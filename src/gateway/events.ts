import { errorEvent, normalisedStreamError } from './openai-error.ts'
import { type Tokens, tokensOf } from './tokens.ts'

const lf = 10
const cr = 13
const space = 32
const openBrace = 123
const usageName = Buffer.from('"usage"')
const errorName = Buffer.from('"error"')
const dataField = Buffer.from('data:')
const errorField = Buffer.from('event:')

/** An event longer than this is a broken engine, not an answer. */
const maxEventBytes = 8 * 1024 * 1024

export class EventTooLong extends Error {}

/**
 * Reads the events of one stream as they pass: counts, takes the usage out, finds the error that makes a later `[DONE]` a
 * lie. Only whole events leave, so that a broken stream never ends in half a line.
 */
export class EventScan {
  /** Data events with choices: the estimate of tokens where the engine never told. */
  chunks = 0
  usage: Tokens | null = null
  /** `[DONE]` was seen and no error before it. */
  complete = false
  /** An error event was passed on to the client. */
  failed = false
  readonly #stripUsage: boolean
  #held: Buffer | null = null
  #from = 0

  /** `stripUsage`: the client did not ask for the usage event, the gateway did. */
  constructor(stripUsage: boolean) {
    this.#stripUsage = stripUsage
  }

  /** Null: all of it may pass as it came. Otherwise what is to pass instead, possibly nothing. */
  read(bytes: Buffer, ranges: readonly number[]): Buffer[] | null {
    if (ranges.length === 2 && this.#isOneToken(bytes, ranges[0] as number, ranges[1] as number)) return null
    let untouched = this.#held === null
    const pieces: Buffer[] = []
    for (let i = 0; i < ranges.length; i += 2) {
      const from = ranges[i] as number
      const to = ranges[i + 1] as number
      if (this.#held === null) untouched = this.#events(bytes, from, to, pieces) && untouched
      else {
        const joined = Buffer.concat([this.#held, bytes.subarray(from, to)])
        this.#held = null
        this.#events(joined, 0, joined.length, pieces)
      }
    }
    return untouched ? null : pieces
  }

  /** Nearly every read is this: one whole event with a token, in which neither name stands. Then it is counted. */
  #isOneToken(bytes: Buffer, from: number, to: number): boolean {
    if (this.#held !== null || this.failed || this.complete) return false
    if (bytes[from + 6] !== openBrace || bytes[from + 5] !== space || !startsWith(bytes, from, dataField)) return false
    if (bytes.indexOf(lf, from) !== to - 2 || bytes[to - 1] !== lf) return false
    if (isWithin(bytes.indexOf(usageName, from), to) || isWithin(bytes.indexOf(errorName, from), to)) return false
    this.chunks += 1
    return true
  }

  /** The stream was closed: a `[DONE]` that lacks only its empty line still counts. */
  close(): Buffer | null {
    const rest = this.#held?.toString().trimEnd()
    if (this.failed || this.complete || (rest !== 'data: [DONE]' && rest !== 'data:[DONE]')) return null
    this.complete = true
    return Buffer.from('data: [DONE]\n\n')
  }

  /** Walks the events from `from` to `to`; true when all of them are whole and pass unchanged. */
  #events(bytes: Buffer, from: number, to: number, pieces: Buffer[]): boolean {
    // Two native searches a read, instead of a parse for each event.
    let usageAt = bytes.indexOf(usageName, from)
    let errorAt = bytes.indexOf(errorName, from)
    let untouched = true
    this.#from = from
    let at = from
    for (let end = eventEnd(bytes, at, to); end > 0; end = eventEnd(bytes, at, to)) {
      if (usageAt >= 0 && usageAt < at) usageAt = bytes.indexOf(usageName, at)
      if (errorAt >= 0 && errorAt < at) errorAt = bytes.indexOf(errorName, at)
      const named = (usageAt >= 0 && usageAt < end) || (errorAt >= 0 && errorAt < end)
      const passes = this.#event(bytes, at, end, named, pieces)
      untouched = untouched && passes
      at = end
    }
    if (at > this.#from) pieces.push(bytes.subarray(this.#from, at))
    if (at === to) return untouched
    if (to - at > maxEventBytes) throw new EventTooLong('An event of the stream has no end.')
    // A copy, because the buffer that was read is large and would be kept alive by its last bytes.
    this.#held = Buffer.from(bytes.subarray(at, to))
    return false
  }

  /** True when the event passes as it is; otherwise `pieces` has what came before it and what replaces it. */
  #event(bytes: Buffer, from: number, to: number, named: boolean, pieces: Buffer[]): boolean {
    // Nothing after an error or `[DONE]` is part of the answer, least of all the `[DONE]` after an error.
    if (this.failed || this.complete) return this.#replace(bytes, from, to, pieces, null)
    if (!startsWith(bytes, from, dataField)) {
      if (!startsWith(bytes, from, errorField)) return true
      return this.#eventful(bytes, from, to, pieces)
    }
    const start = bytes[from + 5] === 32 ? from + 6 : from + 5
    if (bytes[start] === 91 && bytes.toString('latin1', start, to).trimEnd() === '[DONE]') {
      this.complete = true
      return true
    }
    if (named) return this.#named(bytes, from, to, bytes.toString('utf8', start, to), pieces)
    this.chunks += 1
    return true
  }

  /** An event with a name of its own: `event: error` with its data, or something that is none of our business. */
  #eventful(bytes: Buffer, from: number, to: number, pieces: Buffer[]): boolean {
    const lines = bytes.toString('utf8', from, to).split(/\r?\n/)
    const field = (name: string) =>
      lines
        .filter((line) => line.startsWith(name))
        .map((line) => line.slice(name.length).replace(/^ /, ''))
        .join('\n')
    const data = field('data:')
    if (field('event:') !== 'error') return data === '' || this.#named(bytes, from, to, data, pieces)
    const parsed = parse(data) as { error?: unknown } | null | undefined
    return this.#fail(bytes, from, to, parsed?.error ?? parsed ?? data, pieces)
  }

  /** An event in which "usage" or "error" stands somewhere, perhaps only as a word that the model said. */
  #named(bytes: Buffer, from: number, to: number, data: string, pieces: Buffer[]): boolean {
    const parsed = parse(data) as { error?: unknown; usage?: unknown; choices?: unknown } | null | undefined
    if (parsed === undefined || parsed === null || typeof parsed !== 'object') {
      this.chunks += 1
      return true
    }
    if (parsed.error !== undefined && parsed.error !== null) return this.#fail(bytes, from, to, parsed.error, pieces)
    const usage = tokensOf(parsed.usage)
    if (usage !== null) this.usage = usage
    const bare = usage !== null && Array.isArray(parsed.choices) && parsed.choices.length === 0
    if (!bare) this.chunks += 1
    return bare && this.#stripUsage ? this.#replace(bytes, from, to, pieces, null) : true
  }

  #fail(bytes: Buffer, from: number, to: number, error: unknown, pieces: Buffer[]): boolean {
    this.failed = true
    return this.#replace(bytes, from, to, pieces, errorEvent(normalisedStreamError(error)))
  }

  #replace(bytes: Buffer, from: number, to: number, pieces: Buffer[], by: string | null): boolean {
    if (from > this.#from) pieces.push(bytes.subarray(this.#from, from))
    if (by !== null) pieces.push(Buffer.from(by))
    this.#from = to
    return false
  }
}

/** Where the event that begins at `at` ends, with its empty line; 0 when it does not within `to`. */
function eventEnd(bytes: Buffer, at: number, to: number): number {
  for (let line = bytes.indexOf(lf, at); line >= 0 && line < to; line = bytes.indexOf(lf, line + 1)) {
    if (line + 1 < to && bytes[line + 1] === lf) return line + 2
    if (line + 2 < to && bytes[line + 1] === cr && bytes[line + 2] === lf) return line + 3
  }
  return 0
}

const isWithin = (found: number, to: number) => found >= 0 && found < to

function startsWith(bytes: Buffer, at: number, prefix: Buffer): boolean {
  for (let i = 0; i < prefix.length; i += 1) if (bytes[at + i] !== prefix[i]) return false
  return true
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
