import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { fieldsOf, readFinished } from './api-answers.ts'
import { failureOfLaunch } from './failures.ts'
import { recordedJson } from './recorded-for-tests.ts'

function failureIn(file: string) {
  const { failure } = readFinished(fieldsOf(recordedJson(file))['detail'])
  assert.ok(failure)
  return failureOfLaunch(failure)
}

describe('a recorded failure', () => {
  test('for want of room is told by place, and another offer is tried', () => {
    const record = failureIn('api_get.launch.FAILED.no_capacity.http500.json')
    assert.deepEqual([record.code, record.retry], ['no_capacity', 'elsewhere'])
    assert.match(record.cause, /Failed to acquire resources in main .* in spot/)
    assert.ok(!`${record.cause}${record.evidence}`.includes('\u001b'))
  })

  test.each([
    ['api_get.launch.FAILED.infeasible.http500.json', 'cloud_refused', /does not sell such a machine/],
    ['api_get.launch.FAILED.cloud_not_enabled.http500.json', 'cloud_credentials', /requires aws which is not enabled/],
    ['api_get.launch.FAILED.ports_not_supported.http500.json', 'task_refused', /does not support/],
    ['api_get.launch.FAILED.bad_name.http500.json', 'task_refused', /does not accept the task/],
  ] as const)('%s is %s, in plain words and with a remedy', (file, code, cause) => {
    const record = failureIn(file)
    assert.equal(record.code, code)
    assert.match(record.cause, cause)
    assert.ok(record.remedy && record.evidence)
  })
})

type Told = { readonly type: string; readonly message: string; readonly code: string }

test.each(recordedJson('told.json') as Told[])('$type ("$message") is told as $code, with its text', (told) => {
  const { code, cause, remedy, evidence } = failureOfLaunch(told)
  assert.equal(code, told.code)
  assert.ok(cause && remedy)
  assert.equal(evidence, `${told.type}: ${told.message}`)
})

describe('a failure', () => {
  test('of the set-up says that the machine was there, and is tried elsewhere', () => {
    const message = 'Failed to run setup commands on an instance. (exit code 1)'
    const record = failureOfLaunch({ type: 'RuntimeError', message })
    assert.deepEqual([record.code, record.retry], ['node_setup_failed', 'elsewhere'])
    assert.match(record.cause, /exit code 1/)
  })

  test('that nobody has seen before is tried once more at the same place, and its text is kept', () => {
    const record = failureOfLaunch({ type: 'QuantumError', message: 'the cat is dead\nand more' })
    assert.deepEqual([record.code, record.retry], ['cloud_unknown', 'same'])
    assert.match(record.cause, /the cat is dead$/)
    assert.equal(record.evidence, 'QuantumError: the cat is dead\nand more')
  })

  test('for want of room that mentions a page on quotas is for want of room', () => {
    const message = 'InsufficientInstanceCapacity. Also see your vCPU quotas page.'
    assert.match(failureOfLaunch({ type: 'ResourcesUnavailableError', message }).cause, /^There is no capacity there/)
  })

  test('before any machine was asked for blames the API server, not a machine', () => {
    const message = 'Failed to build pip wheel for SkyPilot. Error: [Errno 28] No space left on device'
    const { code, cause } = failureOfLaunch({ type: 'RuntimeError', message })
    assert.deepEqual([code, /API server/.test(cause)], ['cloud_unavailable', true])
  })

  test('for want of quota names the quota, not the capacity', () => {
    const message = 'Failed to provision all possible launchable resources.\n✗ AWS\n  QuotaExceeded for vCPUs.\n'
    const { code, cause, retry, fault } = failureOfLaunch({ type: 'ResourcesUnavailableError', message })
    assert.deepEqual([code, retry, fault], ['no_quota', 'not_here', 'policy'])
    assert.match(cause, /quota .* QuotaExceeded/)
  })
})
