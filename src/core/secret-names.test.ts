import assert from 'node:assert/strict'
import { test } from 'vitest'
import { whyNotSecretName } from './secret-names.ts'

test.each(['HF_TOKEN', 'A', '_X9', 'OPENAI_API_KEY', 'PATHOLOGY', 'HOMER'])('%s may name a secret', (name) => {
  assert.equal(whyNotSecretName(name), null)
})

test.each(['', 'hf_token', '9A', 'A-B', 'A=B', 'A\n', 'X'.repeat(65)])('%j is no name of a variable', (name) => {
  assert.match(whyNotSecretName(name) ?? '', /named like an environment variable/)
})

const dangerous = ['PATH', 'HOME', 'LD_PRELOAD', 'PYTHONPATH', 'PYTHONSTARTUP', 'NODE_OPTIONS', 'BASH_ENV', 'GIT_SSH']
test.each([...dangerous, 'FLIGHTDECK_MACHINE', 'DYLD_INSERT_LIBRARIES', 'PERL5LIB', 'RUBYOPT', 'IFS', 'ENV'])(
  '%s would change which code runs, so no secret may have it',
  (name) => {
    assert.match(whyNotSecretName(name) ?? '', /would change which code/)
  },
)
