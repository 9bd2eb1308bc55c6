import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import {
  type EngineArguments,
  type EnginePreset,
  engineArgv,
  engineNames,
  enginePresets,
  portWord,
  readArgument,
  writtenArguments,
} from './engine-presets.ts'
import { Failure, type FailureCode } from './failure.ts'

function refusal(code: FailureCode, names: string) {
  return (error: unknown) => error instanceof Failure && error.code === code && error.message.includes(`"${names}"`)
}

describe('arguments of an engine', () => {
  test('become words in the order in which they were given', () => {
    const given = { 'max-model-len': 4096, dtype: 'half', 'gpu-memory-utilization': 0.5, revision: 'v1.0' }
    assert.deepEqual(engineArgv('vllm', given), [
      '--max-model-len',
      '4096',
      '--dtype',
      'half',
      '--gpu-memory-utilization',
      '0.5',
      '--revision',
      'v1.0',
    ])
  })

  test('that are flags stand alone when true and are left out when false', () => {
    assert.deepEqual(engineArgv('vllm', { 'enforce-eager': true, 'enable-prefix-caching': false }), ['--enforce-eager'])
  })

  const dangerous = [
    'middleware',
    'trust-remote-code',
    'host',
    'port',
    'api-key',
    'api_key',
    'root-path',
    'ssl-keyfile',
    'chat-template',
    'model',
    'tokenizer',
    'download-dir',
    'served-model-name',
    '__proto__',
    'constructor',
    'toString',
    '',
    'seed=1 --host',
  ]
  test.each(dangerous)('refuse "%s" for every engine', (argument) => {
    for (const engine of engineNames) {
      const given = JSON.parse(`{${JSON.stringify(argument)}: "x"}`) as EngineArguments
      assert.throws(() => engineArgv(engine, given), refusal('forbidden_argument', argument), engine)
    }
  })

  const malformed: [string, string | number | boolean][] = [
    ['seed', '7'],
    ['seed', 1.5],
    ['seed', -1],
    ['seed', Number.NaN],
    ['max-model-len', 0],
    ['max-model-len', 10_000_001],
    ['gpu-memory-utilization', 1.01],
    ['gpu-memory-utilization', Number.POSITIVE_INFINITY],
    ['dtype', 'float64'],
    ['dtype', true],
    ['enforce-eager', 'true'],
    ['enforce-eager', 1],
    ['revision', '--host'],
    ['revision', '-x'],
    ['revision', ''],
    ['revision', 'a b'],
    ['revision', 'a\n--host'],
    ['revision', '$(id)'],
    ['revision', 'x'.repeat(129)],
    ['revision', 7],
  ]
  test.each(malformed)('refuse %s: %j', (argument, value) => {
    assert.throws(() => engineArgv('vllm', { [argument]: value }), refusal('malformed_argument', argument))
  })

  test('never give a word that begins with a dash but the names of the list', () => {
    const names = Object.keys(enginePresets.vllm.arguments)
    const values = fc.oneof(fc.string(), fc.double(), fc.integer(), fc.boolean())
    fc.assert(
      fc.property(fc.constantFrom(...names), values, (name, value) => {
        const words = wordsOrNone({ [name]: value })
        for (const word of words.filter((word) => word.startsWith('-'))) assert.equal(word, `--${name}`)
      }),
      { numRuns: 500 },
    )
  })
})

describe('every preset', () => {
  test.each(engineNames)('%s: listens on loopback at the given port and serves under the given name', (engine) => {
    const preset: EnginePreset = enginePresets[engine]
    const words = preset.argv({ model: 'the-source', servedName: 'the-name', port: portWord })
    const wordAfter = (flag: string) => words[words.indexOf(flag) + 1]
    assert.equal(wordAfter('--host'), '127.0.0.1')
    assert.equal(wordAfter('--port'), portWord)
    assert.ok(words.includes('the-source') && words.includes('the-name'))
    assert.equal(preset.name, engine)
    assert.equal(preset.healthPath, '/health')
  })
})

test('arguments are read as they were written', () => {
  const given = { 'max-model-len': 4_096, 'enforce-eager': true, dtype: 'auto', 'served-name': 'a=b' }
  assert.deepEqual(Object.fromEntries(writtenArguments(given).map((word) => readArgument(word) ?? [])), given)
})

function wordsOrNone(given: EngineArguments): string[] {
  try {
    return engineArgv('vllm', given)
  } catch (error) {
    if (error instanceof Failure) return []
    throw error
  }
}
