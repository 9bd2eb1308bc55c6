import { type Asked, noteHeader } from './asked.ts'

/** A request that the short lane takes: one of the three paths, HTTP/1.1, a body of a known length, nothing unusual. */
export interface LaneHead {
  readonly path: string
  readonly asked: Asked
}

const requestLine = /^POST (\/v1\/(?:chat\/completions|completions|embeddings)) HTTP\/1\.1\r\n/
const wellFormed =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there.
  /^(?:[\w!#$%&'*+.^`|~-]+:[^\0-\x08\x0a-\x1f\x7f]*(?:\r\n|$))+$/
const digits = /^\d{1,15}$/
/** As `node:http` has it. */
const maxHeaders = 100

/**
 * Reads a head given without its closing empty line. Null: anything but the plainest request, which is for `node:http` to
 * read or refuse. So no request is ever refused here for its form, and none is guessed at.
 */
export function readLaneHead(text: string): LaneHead | null {
  const line = requestLine.exec(text)
  if (!line?.[1]) return null
  const fields = text.slice(line[0].length)
  if (!wellFormed.test(fields)) return null
  const asked = { authorization: '', requestId: '', length: 0, passed: '' }
  const seen = { host: 0, length: 0, authorization: 0, headers: 0 }
  for (let from = 0; from < fields.length; ) {
    const next = fields.indexOf('\r\n', from)
    const end = next < 0 ? fields.length : next
    if (!readField(fields, from, end, asked, seen)) return null
    from = end + 2
  }
  return seen.host === 1 && seen.length === 1 && seen.authorization <= 1 ? { path: line[1], asked } : null
}

interface Seen {
  host: number
  length: number
  authorization: number
  headers: number
}

/** False: a header with which the request is not a plain one. */
function readField(text: string, from: number, end: number, asked: Asked, seen: Seen): boolean {
  if (++seen.headers > maxHeaders) return false
  const colon = text.indexOf(':', from)
  const length = colon - from
  // As long as host, accept, upgrade, ... or transfer-encoding; user-agent and the like need not be read.
  if (length < 4 || length > 17) return length !== 2 || text.slice(from, colon).toLowerCase() !== 'te'
  const name = text.slice(from, colon).toLowerCase()
  switch (name) {
    case 'host':
      seen.host += 1
      return true
    case 'content-length': {
      const value = text.slice(colon + 1, end).trim()
      seen.length += 1
      asked.length = Number(value)
      return digits.test(value)
    }
    case 'connection':
      return (
        text
          .slice(colon + 1, end)
          .trim()
          .toLowerCase() === 'keep-alive'
      )
    case 'transfer-encoding':
    case 'upgrade':
    case 'expect':
    case 'trailer':
      return false
    case 'authorization':
      seen.authorization += 1
  }
  if (name.length === 6 || name.length >= 10) noteHeader(asked, name, text.slice(colon + 1, end).trim())
  return true
}
