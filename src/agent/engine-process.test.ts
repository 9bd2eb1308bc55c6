import assert from 'node:assert/strict'
import { test } from 'vitest'
import { engineEnvironment, explainSpawn } from './engine-process.ts'
import { simEngine } from './world-for-tests.ts'

const own = {
  PATH: '/bin',
  HOME: '/root',
  CUDA_VISIBLE_DEVICES: '0',
  NVIDIA_VISIBLE_DEVICES: 'all',
  LD_LIBRARY_PATH: '/lib',
  AWS_SECRET_ACCESS_KEY: 'never',
  FLIGHTDECK_JOIN_TOKEN_FILE: '/x',
  FLIGHTDECK_CONTROL_URL: 'https://x',
  FLIGHTDECK_SIM: '{}',
}

test('an engine gets what it needs and nothing that lets it speak as the agent', () => {
  const spec = simEngine({}, { env: { VLLM_X: '1', FLIGHTDECK_NODE_DIR: '/y', FLIGHTDECK_MACHINE: 'other' } })
  assert.deepEqual(engineEnvironment(own, spec, { HF_TOKEN: 'hf_x' }, 'm1'), {
    PATH: '/bin',
    HOME: '/root',
    CUDA_VISIBLE_DEVICES: '0',
    NVIDIA_VISIBLE_DEVICES: 'all',
    LD_LIBRARY_PATH: '/lib',
    FLIGHTDECK_SIM: '{}',
    VLLM_X: '1',
    HF_TOKEN: 'hf_x',
    FLIGHTDECK_MACHINE: 'm1',
    FLIGHTDECK_ENGINE: '1',
  })
})

test('a command that cannot be run is explained: missing in PATH, missing file, no right to run it', () => {
  assert.match(explainSpawn('ENOENT', 'vllm', '/a:/b').cause, /"vllm" is in no folder of PATH \(\/a:\/b\)/)
  assert.match(explainSpawn('ENOENT', '/opt/vllm', '/a').cause, /"\/opt\/vllm" is not there/)
  assert.match(explainSpawn('EACCES', '/opt/vllm', '/a').cause, /cannot be run \(EACCES\)/)
})
