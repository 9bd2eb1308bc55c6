import assert from 'node:assert/strict'
import { test } from 'vitest'
import { hiddenIn, hiderOf } from './hide.ts'

const hide = hiderOf([
  'hf_secret_word',
  'first line of a key\nsecond line of it',
  'hf_secret_word_that_is_longer',
  'short',
])

test('a secret is hidden wherever it stands, whole or line by line, the longer before the shorter', () => {
  assert.equal(hide('token hf_secret_word, hf_secret_word!'), 'token [secret], [secret]!')
  assert.equal(hide('first line of a key'), '[secret]')
  assert.equal(hide('it says: second line of it.'), 'it says: [secret].')
  assert.equal(hide('hf_secret_word_that_is_longer'), '[secret]')
  assert.equal(hide('first line of a key\nsecond line of it'), '[secret]')
})

test('what is too short to be told from an ordinary word is left alone', () => {
  assert.equal(hide('a short word'), 'a short word')
})

test('of a failure, cause and evidence are cleaned, and nothing is added', () => {
  const failure = { code: 'engine_failed', fault: 'node', retry: 'same', cause: 'hf_secret_word', remedy: 'x' } as const
  assert.deepEqual(hiddenIn(hide, failure), { ...failure, cause: '[secret]' })
  assert.deepEqual(hiddenIn(hide, { ...failure, evidence: 'a\nhf_secret_word' }).evidence, 'a\n[secret]')
})
