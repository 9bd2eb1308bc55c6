import assert from 'node:assert/strict'
import { afterEach, beforeEach, test, vi } from 'vitest'
import type { LogMark } from './node-disk.ts'
import { type Delivery, Progress, type Report } from './progress.ts'

let sent: Report[]
let answer: Delivery
let mark: LogMark
let progress: Progress

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  sent = []
  answer = 'taken'
  mark = { offset: 0, nextLine: 0 }
  progress = make()
})

afterEach(() => {
  vi.useRealTimers()
})

const failure = { code: 'x', fault: 'node', retry: 'same', cause: 'c', remedy: 'r' } as const

function make(): Progress {
  return new Progress({
    send: async (report) => {
      sent.push(report)
      return answer
    },
    monotonicMs: () => performance.now(),
    mark,
    saveMark: (next) => {
      mark = next
    },
  })
}

const after = (ms: number) => vi.advanceTimersByTimeAsync(ms)

test('the first word goes at once, the rest in batches of two a second at most', async () => {
  for (let i = 0; i < 40; i++) {
    progress.line('engine', `line ${i}`)
    await after(50)
  }
  assert.ok(sent.length <= 5, String(sent.length))
  const numbers = sent.flatMap(({ lines }) => lines.map(({ n }) => n))
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => i),
  )
})

test('an answer and a failure do not wait for their turn', async () => {
  progress.line('engine', 'first')
  await after(1)
  progress.answered(performance.now())
  await after(0)
  assert.equal(sent.at(-1)?.answeredAgoMs, 0)
  progress.failed(failure)
  await after(0)
  assert.equal(sent.at(-1)?.failure?.code, 'x')
})

test('of a phase only its beginning and its latest percentage are told', async () => {
  progress.phase('weights_load', 0)
  await after(1)
  for (const percent of [10, 20, 30, 40]) progress.phase('weights_load', percent)
  await after(600)
  assert.deepEqual(
    sent.flatMap(({ phases }) => phases.map(({ percent }) => percent)),
    [0, 10, 40],
  )
})

test('while nobody listens nothing is lost up to the bound, and beyond it the loss is told', async () => {
  answer = 'later'
  for (let i = 0; i < 5_200; i++) progress.line('engine', `line ${i}`)
  progress.failed(failure)
  await after(60_000)
  answer = 'taken'
  sent = []
  await after(60_000)
  const lines = sent.flatMap((report) => report.lines)
  assert.equal(sent.find((report) => report.failure)?.failure?.code, 'x')
  assert.equal(lines.at(-1)?.text, 'line 5199')
  assert.match(lines[0]?.text ?? '', /^200 lines were dropped here/)
  assert.equal(lines.length, 5_001)
  assert.ok(sent.every((report) => report.lines.length <= 500))
  const numbers = lines.map(({ n }) => n)
  assert.deepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
  )
})

test('a report that cannot be read is not sent for ever, but its failure is', async () => {
  progress.line('engine', 'what nobody can read')
  answer = 'malformed'
  await after(1)
  progress.failed(failure)
  await after(0)
  answer = 'taken'
  await after(5_000)
  progress.line('engine', 'next')
  await after(5_000)
  assert.equal(sent.filter(({ lines }) => lines.some(({ text }) => text.includes('nobody'))).length, 1)
  assert.ok(sent.some(({ lines }) => lines.some(({ text }) => text === 'next')))
})

test('after a restart the log is read again from the first line that was not confirmed', async () => {
  progress.line('engine', 'a', { from: 0, to: 10 })
  await after(1)
  assert.equal(mark.offset, 10)
  answer = 'later'
  progress.line('engine', 'b', { from: 10, to: 20 })
  progress.line('engine', 'c', { from: 20, to: 30 })
  await after(600)
  assert.deepEqual(mark, { offset: 10, nextLine: 3 }, 'numbers that may have been heard are not used again')
})

test('ages are those of the moment of sending, so that clocks of machines need not agree', async () => {
  answer = 'later'
  progress.answered(performance.now())
  await after(3_000)
  answer = 'taken'
  await after(10_000)
  assert.ok((sent.at(-1)?.answeredAgoMs ?? 0) >= 3_000)
})
