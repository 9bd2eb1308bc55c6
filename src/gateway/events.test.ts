import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { EventScan, EventTooLong } from './events.ts'
import { doneEvent, tokenEvent, usageEvent } from './fake-node.ts'

/** Runs text through a scan, cut at the given places; gives what the client would get. */
function through(scan: EventScan, text: string, cuts: readonly number[] = []): string {
  const bytes = Buffer.from(text)
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  const out: Buffer[] = []
  let from = 0
  for (const to of places) {
    if (to > from) out.push(...(scan.read(bytes, [from, to]) ?? [bytes.subarray(from, to)]))
    from = to
  }
  const rest = scan.close()
  return Buffer.concat(rest ? [...out, rest] : out).toString()
}

const word = fc.constantFrom(
  'Hi',
  '"usage"',
  '"error"',
  '{"usage":{"prompt_tokens":1}}',
  'data: [DONE]',
  '\n\n',
  '[DONE]',
  'ü😀',
  '',
)
const cuts = fc.array(fc.nat(), { maxLength: 10 })

test('a complete stream passes unchanged however it is cut, and is counted, whatever words the model says', () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), cuts, (words, places) => {
      const text = words.map(tokenEvent).join('') + usageEvent(7, words.length) + doneEvent
      const scan = new EventScan(false)
      assert.equal(through(scan, text, places), text)
      assert.deepEqual(scan.usage, { prompt: 7, completion: words.length })
      assert.deepEqual([scan.chunks, scan.complete, scan.failed], [words.length, true, false])
    }),
  )
})

test('the usage event is taken out where the client did not ask for it, and nothing else is', () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), cuts, (words, places) => {
      const tokens = words.map(tokenEvent).join('')
      assert.equal(through(new EventScan(true), tokens + usageEvent(7, 9) + doneEvent, places), tokens + doneEvent)
    }),
  )
})

test('cut short at any byte, only whole events have left', () => {
  const text = tokenEvent('one') + tokenEvent('two') + usageEvent(1, 2) + doneEvent
  for (let end = 0; end < text.length - 2; end++) {
    const scan = new EventScan(false)
    const passed = through(scan, text.slice(0, end))
    assert.ok(text.startsWith(passed))
    assert.ok(passed === '' || passed.endsWith('\n\n'), `cut at ${end}`)
    assert.equal(scan.complete, false, `cut at ${end}`)
  }
})

test('after an error nothing passes, and [DONE] does not make it complete', () => {
  const errors = [
    'data: {"error": {"message": "died", "code": 500}}\n\n',
    'data: {"id":"x","choices":[],"error":{"message":"died"}}\n\n',
    'event: error\ndata: {"message":"died"}\n\n',
    'event: error\ndata: {"error":{"message":"died"}}\n\n',
    'data: {"error": "died"}\n\n',
    'data: {"error":{"message":"died","code":400}}\r\n\r\n',
  ]
  for (const error of errors) {
    for (let cut = 0; cut < error.length; cut += 3) {
      const scan = new EventScan(true)
      const passed = through(scan, tokenEvent('one') + error + tokenEvent('two') + doneEvent, [
        cut + tokenEvent('one').length,
      ])
      const [first, second, third] = passed.split('\n\n')
      assert.equal(`${first}\n\n`, tokenEvent('one'))
      const said = JSON.parse(second?.slice(6) ?? '').error
      assert.deepEqual(Object.keys(said), ['message', 'type', 'param', 'code'])
      assert.equal(said.message, 'died')
      assert.equal(third, '')
      assert.deepEqual([scan.failed, scan.complete], [true, false])
    }
  }
})

test('an error that is null, a usage that is null and one that comes with every token stay', () => {
  const text =
    'data: {"choices":[{"delta":{"content":"a"}}],"usage":null,"error":null}\n\n' +
    'data: {"choices":[{"delta":{"content":"b"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
  const scan = new EventScan(true)
  assert.equal(through(scan, text + doneEvent), text + doneEvent)
  assert.deepEqual([scan.chunks, scan.usage], [2, { prompt: 3, completion: 2 }])
})

test('comments, other fields and lines that end with CRLF pass', () => {
  const text = ': keep-alive\n\nid: 1\ndata: {"choices":[]}\n\nretry: 5\n\ndata: {"a":1}\r\n\r\ndata:[DONE]\r\n\r\n'
  const scan = new EventScan(true)
  assert.equal(through(scan, text), text)
  assert.equal(scan.complete, true)
})

test('a [DONE] that lacks only its empty line is an end', () => {
  for (const end of ['data: [DONE]', 'data: [DONE]\n']) {
    const scan = new EventScan(true)
    assert.equal(through(scan, tokenEvent('one') + end), tokenEvent('one') + doneEvent)
    assert.equal(scan.complete, true)
  }
})

test('an event without end is refused before it fills memory', () => {
  const scan = new EventScan(true)
  const bytes = Buffer.alloc(1_048_576, 'x')
  assert.throws(() => {
    for (let i = 0; i < 20; i++) scan.read(bytes, [0, bytes.length])
  }, EventTooLong)
})
