import assert from 'node:assert/strict'
import { test } from 'vitest'
import { failureSchema } from '../wire/agent.ts'
import type { EngineLog } from './engine-log.ts'
import { exitFailure } from './engine-report.ts'
import { createLogReader } from './log-reader.ts'

test('the argument that the engine named is told with its failure, as the control plane takes it', () => {
  const reader = createLogReader()
  reader.push(
    "ValueError: User-specified max_model_len (65536) is greater than the derived max_model_len (max_position_embeddings=40960 or model_max_length=None in model's config.json).\n",
  )
  const failure = exitFailure({ code: 1, signal: null }, { reader, tail: () => 'the end' } as unknown as EngineLog)
  assert.deepEqual(failureSchema.parse(failure).suggestion, { argument: 'max-model-len', value: 40960 })
})
