import assert from 'node:assert/strict'
import { test } from 'vitest'
import { process, server, startServers } from '../../../test/sky-server.ts'
import { CloudRefuses } from '../cloud.ts'

startServers()

test.each([
  [
    'names other clouds',
    { infra: ['aws', 'kubernetes/east'] },
    /cannot use slurm.*It can use aws, kubernetes\/east/,
    /sky check slurm/,
  ],
  ['wants a token that it does not get', { token: 'fd' }, /refuses the token/, /./],
] as const)('a server that %s refuses the cloud, and says what to do', async (_, faults, cause, remedy) => {
  Object.assign(server.sky.faults, faults)
  await assert.rejects(process().offers(), (error: unknown) => {
    assert.ok(error instanceof CloudRefuses)
    assert.equal(error.refusal.code, 'cloud_credentials')
    assert.match(error.refusal.cause, cause)
    assert.match(error.refusal.remedy, remedy)
    return true
  })
})

test.each([
  ['that was just started and names no cloud yet', { infra: [] }],
  ['that does not answer', { away: true }],
])('a server %s has refused nothing', async (_, faults) => {
  Object.assign(server.sky.faults, faults)
  await assert.rejects(process().offers(), (error: unknown) => !(error instanceof CloudRefuses))
})

test('of a Slurm cluster only what is free is offered', async () => {
  const offers = await process().offers()
  assert.deepEqual(
    offers.filter(({ region }) => region === 'lab/main').map(({ gpuCount, available }) => [gpuCount, available]),
    [
      [1, 7],
      [2, 3],
    ],
  )
})
