import assert from 'node:assert/strict'
import { test } from 'vitest'
import { credentialsOf } from './credentials.ts'
import { failureRecord } from './failure.ts'

test('what is known of a cloud’s credentials is what its server said last, and this host needs none', () => {
  const read = { cloud: 'aws', readAt: 1_000, failedAt: null, failure: null }
  const failed = (code: 'cloud_credentials' | 'cloud_unavailable') => ({
    ...read,
    failure: failureRecord(code, 'Why.'),
  })
  assert.equal(credentialsOf(read, 2_000), 'work')
  assert.equal(credentialsOf(read, 1_000_000), 'unknown', 'that was long ago')
  assert.equal(credentialsOf(failed('cloud_credentials'), 2_000), 'refused')
  assert.equal(credentialsOf(failed('cloud_unavailable'), 2_000), 'unknown')
  assert.equal(credentialsOf({ ...read, cloud: 'local-there' }, 2_000), 'not_needed')
})
