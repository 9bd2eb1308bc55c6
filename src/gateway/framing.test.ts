import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { BodyFraming, FramingBroken, parseHead } from './framing.ts'

const chunked = parseHead('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked')

/** Feeds the bytes cut into pieces; gives the payload, and how many bytes belonged to the body. */
function feed(framing: BodyFraming, bytes: Buffer, cuts: readonly number[]) {
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  let payload = ''
  let taken = 0
  let from = 0
  for (const to of places) {
    const piece = bytes.subarray(from, to)
    from = to
    if (framing.done) continue
    taken += framing.read(piece, 0)
    for (let i = 0; i < framing.ranges.length; i += 2)
      payload += piece.toString('latin1', framing.ranges[i], framing.ranges[i + 1])
  }
  return { payload, taken }
}

function chunkedBody(pieces: readonly string[], upper: boolean): Buffer {
  const size = (piece: string) => (upper ? piece.length.toString(16).toUpperCase() : piece.length.toString(16))
  return Buffer.from(`${pieces.map((piece) => `${size(piece)}\r\n${piece}\r\n`).join('')}0\r\n\r\n`, 'latin1')
}

const pieces = fc.array(fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', ':'), minLength: 1, maxLength: 40 }), {
  maxLength: 8,
})
const cuts = fc.array(fc.nat(), { maxLength: 12 })

test('a chunked body is the same however the network cuts it, and ends exactly where it ends', () => {
  fc.assert(
    fc.property(pieces, fc.boolean(), cuts, (parts, upper, places) => {
      const framing = new BodyFraming()
      framing.begin(chunked)
      const bytes = chunkedBody(parts, upper)
      const { payload, taken } = feed(framing, bytes, places)
      assert.equal(payload, parts.join(''))
      assert.equal(taken, bytes.length)
      assert.equal(framing.done, true)
    }),
  )
})

test('what follows the body is not taken for a part of it', () => {
  const framing = new BodyFraming()
  framing.begin(chunked)
  const bytes = Buffer.concat([chunkedBody(['abc'], false), Buffer.from('HTTP/1.1 200 OK')])
  assert.equal(framing.read(bytes, 0), bytes.length - 15)
  assert.equal(framing.done, true)
})

test('a body cut short at any byte is not done', () => {
  const bytes = chunkedBody(['abc', 'defgh', 'x'.repeat(20)], false)
  for (let end = 0; end < bytes.length; end++) {
    const framing = new BodyFraming()
    framing.begin(chunked)
    framing.read(bytes.subarray(0, end), 0)
    assert.equal(framing.closed(), false, `cut at ${end}`)
  }
})

test('a chunk size is plain hex and nothing else', () => {
  for (const size of [
    '',
    ' 1',
    '1 ',
    '1;a=b',
    '0x1',
    '+1',
    '-1',
    '1g',
    '1\n',
    '1\r\r',
    '00000001',
    'ffffffff',
    '1_0',
    '１',
  ]) {
    const framing = new BodyFraming()
    framing.begin(chunked)
    assert.throws(() => framing.read(Buffer.from(`${size}\r\na\r\n0\r\n\r\n`), 0), FramingBroken, JSON.stringify(size))
  }
})

test('a changed byte between the chunks is always found', () => {
  const bytes = chunkedBody(['abc', 'defgh'], false)
  const between = [...bytes.keys()].filter((place) => bytes[place] === 13 || bytes[place] === 10)
  for (const place of between) {
    for (let value = 0; value < 256; value++) {
      if (value === bytes[place]) continue
      const spoiled = Buffer.from(bytes)
      spoiled[place] = value
      const framing = new BodyFraming()
      framing.begin(chunked)
      const spoils = () => {
        framing.read(spoiled, 0)
        if (!framing.done) throw new FramingBroken('The size took the rest.')
      }
      assert.throws(spoils, FramingBroken, `${value} at ${place}`)
    }
  }
})

test('trailers are refused', () => {
  const framing = new BodyFraming()
  framing.begin(chunked)
  assert.throws(() => framing.read(Buffer.from('1\r\na\r\n0\r\nx: y\r\n\r\n'), 0), FramingBroken)
})

test('a body of a known length ends after that many bytes, however it is cut', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 50 }), cuts, (text, places) => {
      const framing = new BodyFraming()
      framing.begin(parseHead(`HTTP/1.1 200 OK\r\ncontent-length: ${text.length}`))
      const { payload, taken } = feed(framing, Buffer.from(`${text}extra`), places)
      assert.equal(payload, text)
      assert.equal(taken, text.length)
      assert.equal(framing.done, true)
    }),
  )
})

test('heads that two readers could read differently are refused', () => {
  const bad = [
    'HTTP/2 200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 200OK',
    'ICY 200 OK',
    'HTTP/1.1 200 OK\nx: y',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2',
    'HTTP/1.1 200 OK\r\ncontent-length: 1, 1',
    'HTTP/1.1 200 OK\r\ncontent-length: -1',
    'HTTP/1.1 200 OK\r\ncontent-length: +1',
    'HTTP/1.1 200 OK\r\ncontent-length: 0x1',
    'HTTP/1.1 200 OK\r\ncontent-length:',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked',
    'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked',
    'HTTP/1.1 200 OK\r\nx : y',
    'HTTP/1.1 200 OK\r\n x: folded',
    'HTTP/1.1 200 OK\r\nno colon',
    'HTTP/1.1 200 OK\r\nx: a\0b',
    'HTTP/1.1 200 OK\r\nx: a\rb',
    'HTTP/1.1 200 OK\r\n: y',
  ]
  for (const text of bad) assert.throws(() => parseHead(text), FramingBroken, JSON.stringify(text))
})

test('whether a connection may be used again follows from version and header', () => {
  const keeps = (text: string) => parseHead(text).keepAlive
  assert.equal(keeps('HTTP/1.1 200 OK\r\ncontent-length: 0'), true)
  assert.equal(keeps('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: close'), false)
  assert.equal(keeps('HTTP/1.0 200 OK\r\ncontent-length: 0'), false)
  assert.equal(keeps('HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: Keep-Alive'), true)
  assert.equal(keeps('HTTP/1.1 200 OK'), false)
  assert.equal(keeps('HTTP/1.1 204 No Content'), true)
})
