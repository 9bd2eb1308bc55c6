import assert from 'node:assert/strict'
import { test } from 'vitest'
import { Failure, type FailureCode, failureRecord, failures, faults, isFailureCode, retries } from './failure.ts'

const codes = Object.keys(failures) as FailureCode[]

test.each(codes)('%s says who must act, whether to try again, and how in whole sentences', (code) => {
  const { fault, retry, status, remedy } = failures[code]
  assert.ok(faults.includes(fault) && retries.includes(retry))
  assert.ok(status >= 400 && status < 600)
  assert.match(remedy, /^[A-Z].{8,}\.$/s)
})

test('what the caller has to mend is never tried again by itself', () => {
  for (const code of codes.filter((code) => failures[code].fault === 'caller'))
    assert.equal(failures[code].retry, 'never')
})

test('a record is the entry of the catalogue with its cause, and more where more is known', () => {
  assert.deepEqual(failureRecord('no_capacity', 'Full.', { evidence: 'raw' }), {
    code: 'no_capacity',
    fault: 'cloud',
    retry: 'elsewhere',
    cause: 'Full.',
    remedy: failures.no_capacity.remedy,
    evidence: 'raw',
  })
})

test('a thrown failure carries its record, its status and its details', () => {
  const failure = new Failure('name_taken', 'Taken.', {}, { name: 'x' })
  assert.deepEqual(
    [failure.message, failure.status, failure.record.code, failure.details],
    ['Taken.', 409, 'name_taken', { name: 'x' }],
  )
})

test('only names of the catalogue are codes', () => {
  assert.ok(codes.every(isFailureCode))
  assert.equal(isFailureCode('toString'), false)
})
