import { expect, test } from 'vitest'
import { type Answer, noAnswer, splitEvents, take, tokensPerS } from './answer.ts'
import { curlOf, gatewayFor } from './ask.ts'
import { turnsOf } from './use-chat.ts'

const piece = (content: string) => JSON.stringify({ choices: [{ index: 0, delta: { content } }] })
const after = (...events: (readonly [string, number])[]): Answer =>
  events.reduce((answer, [data, ms]) => take(answer, data, ms), noAnswer)

test('events are read whole, however the bytes came, and comments are none', () => {
  const text = ': ping\n\ndata: {"a":1}\n\ndata:b\r\n\r\ndata: two\ndata: lines\n\ndata: ha'
  expect(splitEvents(text)).toEqual({ events: ['{"a":1}', 'b', 'two\nlines'], rest: 'data: ha' })
  let held = ''
  const seen: string[] = []
  for (const char of text) {
    const { events, rest } = splitEvents(held + char)
    seen.push(...events)
    held = rest
  }
  expect(seen).toEqual(['{"a":1}', 'b', 'two\nlines'])
})

test('the first token is timed where text begins, and the speed is of those after it', () => {
  const role = JSON.stringify({ choices: [{ delta: { role: 'assistant', content: '' } }] })
  const answer = after([role, 50], [piece('Hel'), 200], [piece('lo'), 300], [piece('!'), 400])
  expect(answer).toMatchObject({ state: 'streaming', text: 'Hello!', firstTokenMs: 200, tokens: 3, isCounted: false })
  expect(tokensPerS(answer)).toBe(10)
  expect(tokensPerS(after([piece('x'), 200]))).toBeNull()
})

test('the figure of the engine counts, not the pieces', () => {
  const usage = JSON.stringify({ choices: [], usage: { completion_tokens: 21 } })
  const answer = after([piece('many words'), 100], [piece(' more'), 1_100], [usage, 1_101], ['[DONE]', 1_102])
  expect(answer).toMatchObject({ state: 'complete', tokens: 21, isCounted: true })
  expect(tokensPerS(answer)).toBe(20)
})

test('a broken stream is never passed off as complete', () => {
  const error = JSON.stringify({ error: { message: 'The stream broke.', code: 'stream_broken' } })
  const answer = after([piece('half'), 100], [error, 200], ['[DONE]', 300], [piece('late'), 400])
  expect(answer).toMatchObject({ state: 'failed', text: 'half', failure: { cause: 'The stream broke.' } })
  expect(after(['<html>', 1]).state).toBe('failed')
  expect(after(['null', 1]).state).toBe('failed')
})

test('what a model says to itself is kept apart', () => {
  const think = JSON.stringify({ choices: [{ delta: { reasoning_content: 'hm' } }] })
  expect(after([think, 10], [piece('yes'), 20])).toMatchObject({
    thought: 'hm',
    text: 'yes',
    firstTokenMs: 10,
    tokens: 2,
  })
})

test('programs are told of the gateway at the host of the page, else of the one that was heard last', () => {
  const gateway = (url: string, seenAt: string) => ({ id: url, url, seenAt, tableCurrent: true })
  const two = [
    gateway('https://gw.example:8443/', '2026-01-01T00:00:01.000Z'),
    gateway('http://127.0.0.1:8081', '2026-01-01T00:00:00.000Z'),
  ]
  expect(gatewayFor(two, '127.0.0.1')).toBe('http://127.0.0.1:8081')
  expect(gatewayFor(two, 'deck.example')).toBe('https://gw.example:8443')
  expect(gatewayFor([], 'deck.example')).toBeNull()
})

test('a conversation is what was said: the instruction first, and no question whose answer failed', () => {
  const exchange = (id: number, asked: string, answer: Partial<Answer>) => {
    return { id, asked, model: 'm', answer: { ...noAnswer, ...answer } }
  }
  const said = [
    exchange(1, 'one', { state: 'complete', text: 'first' }),
    exchange(2, 'two', { state: 'failed', text: 'half' }),
    exchange(3, 'three', { state: 'stopped', text: 'cut' }),
  ]
  expect(turnsOf(said, 'be short', 'four').map(({ content }) => content)).toEqual([
    'be short',
    'one',
    'first',
    'three',
    'cut',
    'four',
  ])
})

test('the call to copy holds no key, and a message cannot leave its quotes', () => {
  const text = curlOf('http://127.0.0.1:8081', { model: 'm', messages: [{ role: 'user', content: "it's $(x)" }] })
  expect(text).toContain('Bearer $FLIGHTDECK_API_KEY')
  expect(text).toContain("it'\\''s $(x)")
})
