import assert from 'node:assert/strict'
import { test } from 'vitest'
import { readFinished, type SkyFailure } from './api-answers.ts'
import { outcomeOf } from './outcome.ts'

const place = "Failed to acquire resources in all zones in us-east-1 for {AWS(g6.xlarge, {'L4': 1})}."
const full = { type: 'ResourcesUnavailableError', message: `Reasons:\n✗ AWS (us-east-1) — (gpus=L4:1)\n  ${place}\n` }
// As EC2 answers, and SkyPilot writes it between the lines of a launch.
const noQuota =
  'An error occurred (VcpuLimitExceeded) when calling the RunInstances operation: You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that the specified instance type belongs to.'
const noRoom = 'An error occurred (InsufficientInstanceCapacity) when calling the RunInstances operation.'
const notEnabled = 'An error occurred (OptInRequired) when calling the RunInstances operation: You are not subscribed.'
const odd = 'An error occurred (InvalidParameterValue) when calling the RunInstances operation: No such thing.'

async function outcome(failure: SkyFailure, output: readonly string[] | Error) {
  let reads = 0
  const row = readFinished({ request_id: 'r', status: 'FAILED', error: JSON.stringify(failure) })
  const api = {
    finished: async () => row,
    async *stream() {
      reads += 1
      if (output instanceof Error) throw output
      for (const line of output) yield `${line}\n`
    },
  }
  const told = await outcomeOf(api, row)
  assert.ok(told !== 'succeeded')
  return { ...told, reads }
}

const around = (said: string) => ['Launching on AWS us-east-1.', `\u001b[0mAWS handler error: ${said}`, said, '']

test.each([
  [noQuota, 'no_quota', /quota of the account does not reach there\. It said: .*limit of 0/],
  [noRoom, 'no_capacity', /no capacity there\. It said: .*InsufficientInstanceCapacity/],
  [notEnabled, 'cloud_refused', /may not rent there\. It said: .*OptInRequired/],
])('a place that failed with "%s" is told as that, whatever SkyPilot sums up', async (said, code, cause) => {
  const told = await outcome(full, [...around(said), ...around(said)])
  assert.equal(told.code, code)
  assert.match(told.cause, cause)
  assert.ok(told.cause.includes(place) && told.evidence?.includes(said))
  assert.equal(told.cause.split(said).length, 2, 'said once')
})

test('what the cloud said and nobody has seen before is no want of room', async () => {
  const told = await outcome(full, around(odd))
  assert.deepEqual([told.code, told.retry], ['cloud_unknown', 'same'])
  assert.match(told.cause, /^The cloud refused: .*InvalidParameterValue/)
  assert.equal((await outcome(full, [...around(odd), ...around(noRoom)])).code, 'no_capacity')
})

test('an output that cannot be read costs the detail alone', async () => {
  const told = await outcome(full, new TypeError('terminated'))
  assert.equal(told.code, 'no_capacity')
  assert.ok(told.cause.endsWith(place))
})

test('of a failure that says why the output is not read', async () => {
  const told = await outcome({ type: 'NotSupportedError', message: 'open_ports is not supported on Slurm.' }, [])
  assert.equal(told.reads, 0)
})
