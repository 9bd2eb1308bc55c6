import { expect, test } from 'vitest'
import { Failure, type FailureCode, failures } from '../core/failure.ts'
import { problem } from '../wire/views.ts'
import { refusalOf } from './problem.ts'

test('every failure of the catalogue has its status, its remedy and the request id in one shape', () => {
  for (const code of Object.keys(failures) as FailureCode[]) {
    const { status, body, unforeseen } = refusalOf(new Failure(code, 'Because.'), 're-1')
    expect([code, status, unforeseen]).toEqual([code, failures[code].status, false])
    expect(problem.parse(body).error).toMatchObject({ code, cause: 'Because.', requestId: 're-1' })
    expect(body.error.remedy).not.toBe('')
  }
})

test('an error that nobody foresaw tells nothing of itself but the request id', () => {
  for (const error of [new Error('password=hunter2 at /srv/secret.ts'), 'hunter2', null, new TypeError('hunter2')]) {
    const { status, body, unforeseen } = refusalOf(error, 're-7')
    expect([status, body.error.code, body.error.requestId, unforeseen]).toEqual([500, 'internal', 're-7', true])
    expect(JSON.stringify(body)).not.toMatch(/hunter2|secret\.ts/)
  }
})

test('a refusal that names a wait carries it as Retry-After, and one that asks for a token says which', () => {
  const limited = refusalOf(new Failure('rate_limited', 'x', {}, { retryAfterS: 7 }), '')
  expect(limited.headers).toEqual({ 'retry-after': '7' })
  expect(refusalOf(new Failure('unauthenticated', 'x'), '').headers).toEqual({ 'www-authenticate': 'Bearer' })
})
