import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { recordedStream } from './recorded-for-tests.ts'
import { type SkyStage, skyStages, stageOfStream } from './steps.ts'
import { StreamDecoder, type StreamItem } from './stream.ts'

const success = recordedStream('launch_success.new_cluster.console_stream.timed.txt')
const failover = recordedStream('launch_failover_fail.console_stream.timed.txt')
const waiting = recordedStream('api55.launch_retry_until_up_then_cancel.console_stream.timed.txt')

function decode(chunks: readonly string[], decoder = new StreamDecoder()): StreamItem[] {
  return [...chunks.flatMap((chunk) => decoder.push(chunk)), ...decoder.end()]
}

function stagesOf(text: string): SkyStage[] {
  const stages = decode([text]).flatMap(({ text: told }) => stageOfStream(told) ?? [])
  return stages.filter((stage, i) => stage !== stages[i - 1])
}

describe('a recorded stream', () => {
  test('of a launch that succeeds goes through its stages in order, and ends submitted', () => {
    const stages = [...new Set(stagesOf(success))]
    assert.deepEqual(
      stages,
      [...stages].sort((a, b) => skyStages.indexOf(a) - skyStages.indexOf(b)),
    )
    assert.deepEqual(stages.at(-1), 'submitted')
    for (const stage of ['queued', 'machine_up', 'runtime_setup', 'cluster_up'])
      assert.ok(stages.includes(stage as SkyStage))
  })

  test('of a launch without capacity says where it waited, and why each place failed', () => {
    assert.ok(stagesOf(failover).includes('pending'))
    const lines = decode([failover]).map(({ text }) => text)
    assert.ok(lines.some((line) => line.includes('Failed to acquire resources in main')))
    assert.ok(stagesOf(waiting).includes('placing'))
  })

  test.each([success, failover, waiting])('holds neither colours nor markup nor hints nor payloads (%#)', (text) => {
    for (const { text: told } of decode([text])) {
      assert.doesNotMatch(told, /sky-payload|\[bold|\[\/\]|rich_/)
      assert.ok(!told.includes('\u001b'))
    }
    for (const { kind, text: told } of decode([text])) if (kind === 'step') assert.doesNotMatch(told, /View logs/)
  })
})

describe('the decoder', () => {
  test('tells the same wherever the stream is cut', () => {
    const whole = decode([success])
    fc.assert(
      fc.property(fc.array(fc.nat(success.length), { maxLength: 40 }), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), success.length]
        const chunks = at.slice(1).map((to, i) => success.slice(at[i], to))
        assert.deepEqual(decode(chunks), whole)
      }),
    )
  })

  test('takes every kind of line end, also one that is cut in two', () => {
    const texts = (chunks: string[]) => decode(chunks).map(({ text }) => text)
    assert.deepEqual(texts(['one\r', '\ntwo\rthree', '\n', '\nfour']), ['one', 'two', 'three', 'four'])
  })

  test('tells nothing twice when the server begins again from the start', () => {
    const whole = decode([success])
    fc.assert(
      fc.property(fc.nat(success.length), fc.nat(success.length), (first, second) => {
        const decoder = new StreamDecoder()
        const told = decoder.push(success.slice(0, first))
        decoder.reconnect()
        told.push(...decoder.push(success.slice(0, second)))
        decoder.reconnect()
        told.push(...decode([success], decoder))
        assert.deepEqual(told.filter(isOfTheRequest), whole.filter(isOfTheRequest))
      }),
    )
  })

  test('takes anything at all without failing, and keeps no more than a line of it', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (chunks) => {
        decode([
          ...chunks,
          '<sky-payload>"<rich_up',
          '<sky-payload>{"a":1}</sky-payload>\n',
          '<sky-payload>no</sky-payload>\n',
        ])
      }),
    )
    assert.ok(new StreamDecoder().push('x'.repeat(100_000)).length > 0)
  })

  test('knows a server that asks to be called again', () => {
    const items = decode([
      '<sky-payload>"<retry></retry>"</sky-payload>\n<sky-payload>"<heartbeat></heartbeat>"</sky-payload>\n',
    ])
    assert.deepEqual(items, [{ kind: 'retry', text: '', n: 0 }])
  })
})

const isOfTheRequest = ({ text }: StreamItem): boolean => !/^(Checking request|Waiting for)/.test(text)
