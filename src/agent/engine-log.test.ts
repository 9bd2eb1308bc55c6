import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import { EngineLog } from './engine-log.ts'

let dir: string
let path: string
let lines: string[]
let places: { from: number; to: number }[]
let restarts: number

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-log-'))
  path = join(dir, 'engine.log')
  writeFileSync(path, '')
  lines = []
  places = []
  restarts = 0
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

function open(from = 0, reportFrom = 0, cutBytes = 1_000_000): EngineLog {
  return new EngineLog(
    path,
    from,
    reportFrom,
    {
      onFinding: () => undefined,
      onLine: (text, place) => {
        lines.push(text)
        places.push(place)
      },
      onRestart: () => {
        restarts += 1
      },
    },
    cutBytes,
  )
}

test('a line is told when it is whole, with its place in the file', () => {
  const log = open()
  appendFileSync(path, 'one\ntw')
  log.look()
  assert.deepEqual(lines, ['one'])
  appendFileSync(path, 'o ü\n\n')
  log.look()
  assert.deepEqual(lines, ['one', 'two ü'])
  assert.deepEqual(places, [
    { from: 0, to: 4 },
    { from: 4, to: 11 },
  ])
  log.close()
})

test('a progress bar is one line: what it showed last', () => {
  const log = open()
  appendFileSync(path, '\rLoading: 10%\rLoading: 50%\rLoading: 100%\n')
  log.look()
  assert.deepEqual(lines, ['Loading: 100%'])
  log.close()
})

test('after a restart of the agent the reader sees the whole run and listeners what is new', () => {
  appendFileSync(path, 'earlier run\nINFO 11-23 00:00:00 [x.py:1] Loading weights took 1 seconds\n')
  const from = 'earlier run\n'.length
  const reported = statSync(path).size
  appendFileSync(path, 'new line\n')
  const log = open(from, reported)
  log.look()
  assert.deepEqual(lines, ['new line'])
  assert.equal(log.reader.result().phase, 'weights_load')
  assert.match(log.tail(1_000), /^INFO.*\nnew line$/)
  log.close()
})

test('a log that grows too large is cut, its end is kept aside, and the writer goes on', () => {
  const log = open(0, 0, 1_000)
  for (let i = 0; i < 200; i++) appendFileSync(path, `line ${i}\n`)
  while (!log.look()) assert.fail('one look takes so little at once')
  assert.equal(restarts, 1)
  assert.equal(statSync(path).size, 0)
  assert.match(readFileSync(`${path}.1`, 'utf8'), /line 199\n$/)
  appendFileSync(path, 'after\n')
  log.look()
  assert.equal(lines.length, 201)
  assert.deepEqual(places.at(-1), { from: 0, to: 6 })
  log.close()
})

test('a line without an end does not fill the memory', () => {
  const log = open(0, 0, 100_000_000)
  appendFileSync(path, 'x'.repeat(3_000_000))
  while (!log.look());
  assert.ok(lines.length >= 20)
  log.close()
})

test('a log larger than one look is read in several, in order', () => {
  const log = open(0, 0, 100_000_000)
  const text = Array.from({ length: 300_000 }, (_, i) => `line ${i}`).join('\n')
  appendFileSync(path, `${text}\n`)
  assert.equal(log.look(), false)
  while (!log.look());
  assert.equal(lines.length, 300_000)
  assert.equal(lines.at(-1), 'line 299999')
  log.close()
})
