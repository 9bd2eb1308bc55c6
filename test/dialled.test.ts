import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { Registries, readTraces } from './real/dialled.ts'

const recorded = (file: string): string[] =>
  readFileSync(join(import.meta.dirname, 'fixtures/strace', file), 'utf8')
    .trimEnd()
    .split('\n')

const hex = (text: string): string => [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16)}`).join('')
const abroad = { v4: '203.0.113.7', v6: '2001:db8::7' }
/** The same calls, as if they had not gone to this host; lines without a destination are left out. */
const sentAbroad = (lines: readonly string[]): string[] =>
  lines.flatMap((line) => {
    const moved = line
      .replace(`"${hex('127.0.0.1')}"`, `"${hex(abroad.v4)}"`)
      .replace(`"${hex('::1')}"`, `"${hex(abroad.v6)}"`)
    return moved === line ? [] : [moved]
  })

describe('a recorded trace', () => {
  test.each([
    ['glibc.txt', 'packages.example.org'],
    ['threads.txt', 'packages.example.org'],
    ['c-ares.txt', 'files.example.org'],
    ['sockets.txt', 'www.example.org'],
  ])('%s names whom a name server was asked for, and nothing that stayed on this host', (file, name) => {
    assert.deepEqual(readTraces([recorded(file).join('\n')]), { addresses: [], names: [name] })
  })

  test('names them line by line, whichever call asked, also where it was cut in two', () => {
    const calls = [...recorded('glibc.txt'), ...recorded('threads.txt'), ...recorded('sockets.txt')]
    const asking = calls.filter((line) => /sendto\(\d+, "\\x|iov_base=/.test(line))
    const kinds = new Set(asking.map((line) => /(?:^\d+ +(?:<\.\.\. )?)(\w+)/.exec(line)?.[1]))
    assert.deepEqual([...kinds].sort(), ['sendmmsg', 'sendmsg', 'sendto'])
    const silent = asking.filter((line) => readTraces([line]).names.length === 0)
    // A request over a socket pair that looks like no question.
    assert.deepEqual(
      silent.map((line) => line.includes(hex('GET '))),
      [true],
    )
  })

  test('tells every destination that is not this host, whichever call went there', () => {
    const moved = sentAbroad(recorded('sockets.txt'))
    const kinds = new Set(moved.map((line) => /^\d+ +(\w+)/.exec(line)?.[1]))
    assert.deepEqual([...kinds].sort(), ['connect', 'sendmsg', 'sendto'])
    for (const line of moved)
      assert.deepEqual(readTraces([line]).addresses, [line.includes('AF_INET6') ? abroad.v6 : abroad.v4], line)
    // As sendmmsg has them: several in one call.
    const [first = '', second = ''] = [moved.find((line) => line.includes('sendmsg')), moved.at(-1)]
    assert.deepEqual(readTraces([`${first} ${second}`]).addresses, [abroad.v4, abroad.v6])
  })

  test('does not count name servers as dialled: what they were asked counts', () => {
    const { addresses, names } = readTraces(sentAbroad(recorded('glibc.txt')))
    assert.deepEqual([addresses, names], [[], []])
  })
})

test('a registry may be asked and dialled, and nobody else', () => {
  const registries = new Registries(['packages.example.org'])
  const { names } = readTraces([recorded('glibc.txt').join('\n')])
  assert.deepEqual(registries.judge({ names, addresses: [] }), { asked: true, others: [] })
  const strangers = { names: ['www.example.org'], addresses: [abroad.v4] }
  assert.deepEqual(registries.judge(strangers), { asked: false, others: ['www.example.org', abroad.v4] })
})
