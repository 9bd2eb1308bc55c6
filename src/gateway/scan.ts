/** Where a value stands in the body: byte offsets, end exclusive. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** The three members of a request that the gateway reads; the last of each name counts, as in every JSON parser. */
export interface ScannedBody {
  readonly model: Span | null
  readonly stream: Span | null
  readonly streamOptions: Span | null
  /** Where a first member could be put in: just behind the opening brace. */
  readonly inside: number
  readonly empty: boolean
}

const quote = 34
const backslash = 92
const colon = 58
const comma = 44
const openBrace = 123
const closeBrace = 125
const openBracket = 91
const closeBracket = 93

const isBlank = (byte: number | undefined) => byte === 32 || byte === 10 || byte === 13 || byte === 9

/**
 * Finds the members at the top of a JSON object without parsing what lies below them, because prompts are long. Null: not
 * an object. Whatever JSON.parse accepts is read here as JSON.parse reads it; what it refuses may pass, for the engine
 * to refuse.
 */
export function scanBody(bytes: Buffer): ScannedBody | null {
  let at = blanks(bytes, 0)
  if (bytes[at] !== openBrace) return null
  const inside = at + 1
  const found = { model: null as Span | null, stream: null as Span | null, streamOptions: null as Span | null }
  at = blanks(bytes, inside)
  const empty = bytes[at] === closeBrace
  if (empty) return atEnd(bytes, at + 1) ? { ...found, inside, empty } : null
  for (;;) {
    if (bytes[at] !== quote) return null
    const keyEnd = stringEnd(bytes, at)
    if (keyEnd < 0) return null
    const from = blanks(bytes, afterColon(bytes, keyEnd))
    const to = valueEnd(bytes, from)
    if (to <= from) return null
    note(found, bytes, at, keyEnd, { from, to })
    at = blanks(bytes, to)
    if (bytes[at] === closeBrace) return atEnd(bytes, at + 1) ? { ...found, inside, empty } : null
    if (bytes[at] !== comma) return null
    at = blanks(bytes, at + 1)
  }
}

type Found = { -readonly [name in 'model' | 'stream' | 'streamOptions']: Span | null }

function note(found: Found, bytes: Buffer, keyFrom: number, keyEnd: number, value: Span) {
  const name = keyName(bytes, keyFrom, keyEnd)
  if (name === 'model') found.model = value
  else if (name === 'stream') found.stream = value
  else if (name === 'stream_options') found.streamOptions = value
}

/** The longest name that matters, `stream_options`, with every character as \uXXXX. */
const longestKey = 2 + 14 * 6

function keyName(bytes: Buffer, from: number, end: number): string | null {
  const length = end - from
  if (length > longestKey) return null
  if (hasEscape(bytes, from, end)) {
    const parsed = parseSpan(bytes, { from, to: end })
    return typeof parsed === 'string' ? parsed : null
  }
  // "model", "stream" and "stream_options" with their quotes; other names need not become strings.
  if (length !== 7 && length !== 8 && length !== 16) return null
  return bytes.toString('latin1', from + 1, end - 1)
}

function hasEscape(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (bytes[at] === backslash) return true
  return false
}

/** The string at a span, or undefined when it is something else. */
export function stringAt(bytes: Buffer, span: Span): string | undefined {
  if (bytes[span.from] !== quote) return undefined
  if (!hasEscape(bytes, span.from, span.to)) return bytes.toString('utf8', span.from + 1, span.to - 1)
  const parsed = parseSpan(bytes, span)
  return typeof parsed === 'string' ? parsed : undefined
}

/** The value at a span as JSON.parse gives it; undefined when it is not JSON. */
export function parseSpan(bytes: Buffer, span: Span): unknown {
  try {
    return JSON.parse(bytes.toString('utf8', span.from, span.to))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function blanks(bytes: Buffer, from: number): number {
  let at = from
  while (isBlank(bytes[at])) at += 1
  return at
}

const atEnd = (bytes: Buffer, from: number) => blanks(bytes, from) === bytes.length

function afterColon(bytes: Buffer, from: number): number {
  const at = blanks(bytes, from)
  return bytes[at] === colon ? at + 1 : bytes.length
}

/** `from` is at the opening quote; returns where the string ends, or -1. */
function stringEnd(bytes: Buffer, from: number): number {
  let at = from + 1
  // Names and short values are walked here; a native search costs more than they do.
  for (const near = Math.min(bytes.length, at + 48); at < near; at += 1) {
    const byte = bytes[at]
    if (byte === quote) return at + 1
    if (byte === backslash) at += 1
  }
  return longStringEnd(bytes, from, at)
}

function longStringEnd(bytes: Buffer, opening: number, from: number): number {
  for (let at = bytes.indexOf(quote, from); at >= 0; at = bytes.indexOf(quote, at + 1)) {
    let before = at - 1
    while (before > opening && bytes[before] === backslash) before -= 1
    // An odd number of backslashes escapes the quote.
    if ((at - before) % 2 === 1) return at + 1
  }
  return -1
}

/** Where the value that begins at `from` ends; -1 when it never does. */
function valueEnd(bytes: Buffer, from: number): number {
  const first = bytes[from]
  if (first === quote) return stringEnd(bytes, from)
  if (first === openBrace || first === openBracket) return nestedEnd(bytes, from)
  let at = from
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] as number
    if (byte === comma || byte === closeBrace || isBlank(byte)) break
    // Nothing of this can be part of a number or a word, so the body is not JSON.
    if (byte === quote || byte === colon || byte === openBrace || byte === openBracket || byte === closeBracket)
      return -1
  }
  return at
}

function nestedEnd(bytes: Buffer, from: number): number {
  let depth = 0
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === quote) {
      at = stringEnd(bytes, at) - 1
      if (at < 0) return -1
    } else if (byte === openBrace || byte === openBracket) depth += 1
    else if (byte === closeBrace || byte === closeBracket) {
      depth -= 1
      if (depth === 0) return at + 1
    }
  }
  return -1
}
