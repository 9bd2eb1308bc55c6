import assert from 'node:assert/strict'
import { test } from 'vitest'
import { engineCommand, modelNamed } from './engine-command.ts'
import { Failure } from './failure.ts'
import { defaultSettings, type Settings } from './settings.ts'

const tiny = {
  name: 'tiny',
  engine: 'vllm',
  source: 'org/tiny',
  args: { seed: 1, dtype: 'half' },
  description: '',
} as const
const settings: Settings = {
  ...defaultSettings,
  models: [tiny, { ...tiny, name: 'fake', engine: 'sim' }],
  engines: { vllm: { command: ['/opt/vllm', 'serve'], env: { HF_HOME: '/cache' } } },
}

test("the operator's command comes first, then the preset's words, then the arguments", () => {
  assert.deepEqual(engineCommand(settings, 'tiny', {}), {
    engine: 'vllm',
    servedName: 'tiny',
    argv: [
      ...['/opt/vllm', 'serve', 'org/tiny', '--served-model-name', 'tiny', '--host', '127.0.0.1', '--port', '{port}'],
      ...['--seed', '1', '--dtype', 'half'],
    ],
    env: { HF_HOME: '/cache' },
    healthPath: '/health',
  })
})

test('arguments of the request stand over those of the model', () => {
  assert.deepEqual(engineCommand(settings, 'tiny', { seed: 9 }).argv.slice(-4), ['--seed', '9', '--dtype', 'half'])
})

test("where the operator names no command, the preset's own is taken", () => {
  assert.deepEqual(engineCommand({ ...settings, engines: {} }, 'tiny', {}).argv.slice(0, 2), ['vllm', 'serve'])
})

test('an engine without any command is refused, and so is a forbidden argument', () => {
  assert.throws(() => engineCommand(settings, 'fake', {}), codeIs('unknown_engine'))
  assert.throws(() => engineCommand(settings, 'tiny', { host: '0.0.0.0' }), codeIs('forbidden_argument'))
})

test('an unknown model is refused with a remedy that names the known ones', () => {
  assert.throws(
    () => modelNamed(settings, 'huge'),
    (error) => error instanceof Failure && error.status === 404 && /tiny, fake/.test(error.record.remedy),
  )
  assert.throws(
    () => modelNamed({ models: [] }, 'huge'),
    (error) => error instanceof Failure && /names none yet/.test(error.record.remedy),
  )
})

const codeIs = (code: string) => (error: unknown) => error instanceof Failure && error.code === code
