import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { parseSpan, scanBody, stringAt } from './scan.ts'

const names = ['model', 'stream', 'stream_options', 'messages', 'm', 's', '', 'modél', '😀', 'a"b', '\\', 'models']

/** JSON text with everything that its grammar allows: blanks, escapes of any character, duplicate names. */
const blank = fc.string({ unit: fc.constantFrom(' ', '\n', '\t', '\r'), maxLength: 2 })
const text = (value: string, escapes: number) =>
  `"${[...value].map((c, i) => (((escapes >> (i % 31)) & 1) === 1 ? escaped(c) : JSON.stringify(c).slice(1, -1))).join('')}"`
const escaped = (character: string) =>
  character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')
const key = fc.tuple(fc.constantFrom(...names), fc.integer()).map(([name, escapes]) => text(name, escapes))
const longText = fc.string({ unit: fc.constantFrom('"', '\\', 'x', '{', '}', 'é', '\n'), maxLength: 120 })
const value = fc.oneof(
  { weight: 3, arbitrary: fc.jsonValue().map((v) => JSON.stringify(v)) },
  { weight: 2, arbitrary: fc.tuple(longText, fc.integer()).map(([s, e]) => text(s, e)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('true', 'false', 'null', '-0.5e+10', '[]', '{}', '{"model":"inner"}', '["]"]'),
  },
)
const member = fc.tuple(key, value, blank, blank, blank).map(([k, v, a, b, c]) => `${a}${k}${b}:${c}${v}${a}`)
const body = fc
  .tuple(fc.array(member, { maxLength: 6 }), blank)
  .map(([members, b]) => `${b}{${members.join(',')}${b}}${b}`)

function agrees(source: string) {
  const bytes = Buffer.from(source)
  let parsed: unknown
  try {
    parsed = JSON.parse(bytes.toString())
  } catch {
    // What JSON.parse refuses, the engine refuses; the scan must only not throw.
    scanBody(bytes)
    return
  }
  const scanned = scanBody(bytes)
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) return assert.equal(scanned, null)
  assert.ok(scanned, source)
  const want = new Map(Object.entries(parsed))
  for (const [name, span] of [
    ['model', scanned.model],
    ['stream', scanned.stream],
    ['stream_options', scanned.streamOptions],
  ] as const) {
    assert.deepEqual(span === null ? undefined : parseSpan(bytes, span), want.get(name), `${name} of ${source}`)
  }
  const model = want.get('model')
  if (scanned.model) assert.equal(stringAt(bytes, scanned.model), typeof model === 'string' ? model : undefined)
  assert.equal(bytes[scanned.inside - 1], 123)
  assert.equal(scanned.empty, want.size === 0)
}

test('the scan reads every JSON object as JSON.parse reads it', () => {
  fc.assert(fc.property(body, agrees), { numRuns: 3_000 })
})

test('a body with one byte changed, added or lost is read as JSON.parse reads it or refused', () => {
  const change = fc.tuple(body, fc.nat(), fc.constantFrom('', '"', '\\', '{', '}', '[', ']', ':', ',', ' ', '1', 'é'))
  const spoiled = change.map(([source, at, by]) => {
    const place = source.length === 0 ? 0 : at % source.length
    return source.slice(0, place) + by + source.slice(place + (at % 2))
  })
  fc.assert(fc.property(spoiled, agrees), { numRuns: 3_000 })
})

test('values that are no object, torn bodies and other encodings are refused', () => {
  for (const source of [
    '',
    ' ',
    '[]',
    '"x"',
    '1',
    'null',
    '{',
    '{"model"',
    '{"model":',
    '{"model":"x',
    '{"a":1}x',
    '{,}',
  ]) {
    assert.equal(scanBody(Buffer.from(source)), null, source)
  }
  assert.equal(scanBody(Buffer.from('{"model":"x"}', 'utf16le')), null)
  assert.equal(scanBody(Buffer.from('\ufeff{"model":"x"}')), null)
})

test('a megabyte of prompt costs no more than a walk over it', () => {
  const prompt = '\\"quoted\\" text '.repeat(70_000)
  const bytes = Buffer.from(`{"messages":[{"role":"user","content":"${prompt}"}],"model":"m"}`)
  const scanned = scanBody(bytes)
  assert.equal(scanned?.model && parseSpan(bytes, scanned.model), 'm')
})

test('backslashes at the end of a long string are counted, however many', () => {
  for (let n = 0; n < 9; n++) {
    const source = JSON.stringify({ messages: 'x'.repeat(60) + '\\'.repeat(n), model: `m${n}` })
    agrees(source)
  }
})
