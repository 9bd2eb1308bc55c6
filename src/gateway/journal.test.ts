import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import { makeLog } from '../lib/log.ts'
import type { UsageRow } from '../wire/gateway.ts'
import { UsageJournal } from './journal.ts'
import { UsageTally } from './usage.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fd-journal-'))
})
const opened: UsageJournal[] = []
afterEach(async () => {
  for (const journal of opened.splice(0)) await journal.close()
  await rm(dir, { recursive: true })
})

const log = makeLog('journal', 'silent')
const row = (keyId: string, requests = 1, minute = 0): UsageRow => ({
  minute: new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString(),
  keyId,
  nodeId: 'n1',
  model: 'm',
  requests,
  failedRequests: 0,
  abortedRequests: 0,
  promptTokens: 2 * requests,
  completionTokens: 3 * requests,
  estimatedTokens: 0,
  durationMs: 5,
  streams: 0,
  firstTokenMs: 0,
})

/** A journal as a new process finds it: nothing of the last one is in memory. */
async function reopened(maxRows = 1_000): Promise<UsageJournal> {
  const journal = new UsageJournal(dir, maxRows, log)
  await journal.load()
  opened.push(journal)
  return journal
}

const counted = (rows: readonly UsageRow[]) => rows.reduce((sum, { requests }) => sum + requests, 0)

test('what was appended is there after a kill, summed by minute, key, node and model', async () => {
  const first = await reopened()
  await first.append([row('a'), row('b')])
  await first.append([row('a', 4)])
  const second = await reopened()
  const batch = await second.batch()
  assert.deepEqual(
    batch?.rows.map(({ keyId, requests, promptTokens }) => [keyId, requests, promptTokens]),
    [
      ['a', 5, 10],
      ['b', 1, 2],
    ],
  )
  assert.equal(second.gatewayId, first.gatewayId)
})

test('a batch keeps its number and rows until control has it, over restarts, and its number is never used again', async () => {
  const first = await reopened()
  await first.append([row('a')])
  const sent = await first.batch()
  await first.append([row('a', 10)])
  const second = await reopened()
  assert.deepEqual(await second.batch(), sent)
  await second.accepted((sent?.number ?? 0) + 7)
  assert.deepEqual(await second.batch(), sent)
  await second.accepted(sent?.number ?? null)
  const third = await reopened()
  const next = await third.batch()
  assert.equal(counted(next?.rows ?? []), 10)
  assert.ok((next?.number ?? 0) > (sent?.number ?? 0))
  await third.accepted(next?.number ?? null)
  const fourth = await reopened()
  assert.equal(await fourth.batch(), null)
  await fourth.append([row('c')])
  assert.ok(((await fourth.batch())?.number ?? 0) > (next?.number ?? 0))
})

test('a line torn by the end of the process is dropped, wherever it is torn, and no other', async () => {
  const line = `${JSON.stringify({ add: [row('torn')] })}\n`
  for (let end = 0; end < line.length; end += 7) {
    const journal = await reopened()
    await journal.append([row('whole')])
    await appendFile(join(dir, 'usage.jsonl'), line.slice(0, end))
    const batch = await (await reopened()).batch()
    assert.deepEqual(
      batch?.rows.map(({ keyId }) => keyId),
      ['whole'],
      `torn at ${end}`,
    )
    await rm(join(dir, 'usage.jsonl'))
  }
})

test('a damaged journal is kept aside, and a new one begins under another id', async () => {
  const first = await reopened()
  await writeFile(join(dir, 'usage.jsonl'), 'not a journal\n')
  const second = await reopened()
  assert.notEqual(second.gatewayId, first.gatewayId)
  const aside = (await readdir(dir)).find((name) => name.includes('damaged'))
  assert.equal(await readFile(join(dir, aside ?? ''), 'utf8'), 'not a journal\n')
})

test('a full journal drops its oldest minutes and says how many requests were lost', async () => {
  const journal = await reopened(10)
  for (let minute = 0; minute < 11; minute++) await journal.append([row('a', 1, minute)])
  assert.equal(journal.lost, 2)
  const batch = await (await reopened(10)).batch()
  assert.deepEqual([batch?.rows.length, batch?.rows[0]?.minute], [9, row('a', 1, 2).minute])
})

test('the file does not grow with the requests of one minute', async () => {
  const journal = await reopened()
  for (let i = 0; i < 300; i++) await journal.append(Array.from({ length: 20 }, (_, key) => row(`key-${key}`)))
  assert.ok((await stat(join(dir, 'usage.jsonl'))).size < 1_200_000)
  assert.equal(counted((await (await reopened()).batch())?.rows ?? []), 6_000)
})

test('a batch has as many rows as a report may carry; the rest follows in the next', async () => {
  const journal = await reopened(20_000)
  await journal.append(Array.from({ length: 7_000 }, (_, key) => row(`key-${key}`)))
  const first = await journal.batch()
  await journal.accepted(first?.number ?? null)
  const second = await journal.batch()
  assert.deepEqual([first?.rows.length, second?.rows.length], [5_000, 2_000])
})

test('the tally keeps minutes, keys, nodes, models and outcomes apart', () => {
  const tally = new UsageTally()
  const spent = {
    keyId: 'k',
    nodeId: 'n',
    model: 'm',
    promptTokens: 1,
    completionTokens: 2,
    durationMs: 1.6,
    firstTokenMs: null,
  }
  tally.add({ ...spent, outcome: 'ok', estimated: false }, 59_999)
  tally.add({ ...spent, outcome: 'aborted', estimated: true }, 59_999)
  tally.add({ ...spent, outcome: 'failed', estimated: true }, 60_000)
  tally.add({ ...spent, outcome: 'ok', estimated: false, model: 'other' }, 60_000)
  for (const firstTokenMs of [10.4, 20.3])
    tally.add({ ...spent, outcome: 'ok', estimated: false, model: 'stream', firstTokenMs }, 60_000)
  const rows = tally.take()
  assert.deepEqual(
    rows.map((r) => [
      r.minute,
      r.model,
      r.requests,
      r.failedRequests,
      r.abortedRequests,
      r.completionTokens,
      r.estimatedTokens,
    ]),
    [
      ['1970-01-01T00:00:00.000Z', 'm', 2, 0, 1, 4, 2],
      ['1970-01-01T00:01:00.000Z', 'm', 1, 1, 0, 2, 2],
      ['1970-01-01T00:01:00.000Z', 'other', 1, 0, 0, 2, 0],
      ['1970-01-01T00:01:00.000Z', 'stream', 2, 0, 0, 4, 0],
    ],
  )
  assert.deepEqual(
    rows.map((r) => [r.streams, r.firstTokenMs]),
    [
      [0, 0],
      [0, 0],
      [0, 0],
      [2, 30],
    ],
  )
  assert.deepEqual(tally.take(), [])
})
