import assert from 'node:assert/strict'
import { test } from 'vitest'
import { process, server, startServers } from '../../../test/sky-server.ts'
import { CloudRefuses } from '../cloud.ts'

startServers()

test.each([
  [
    'names other clouds',
    { infra: ['aws', 'kubernetes/east'] },
    'cloud_credentials',
    /cannot use slurm.*It can use aws, kubernetes\/east/,
    /sky check slurm/,
  ],
  [
    'wants a token that it does not get',
    { token: 'fd' },
    'cloud_credentials',
    /refuses the token/,
    /FLIGHTDECK_SKYPILOT_TOKEN/,
  ],
  ['is too old', { apiVersion: 54 }, 'cloud_version', /too old: its API version is 54, .*at least 55/, /0\.14\.1/],
  [
    'is from before it told its version',
    { apiVersion: null },
    'cloud_version',
    /too old.*none; at least 55/,
    /0\.14\.1/,
  ],
  ['wants a newer client', { leastVersion: 63 }, 'cloud_version', /client version is too old/, /or Flightdeck/],
] as const)('a server that %s refuses the cloud, and says what to do', async (_, faults, code, cause, remedy) => {
  Object.assign(server.sky.faults, faults)
  await assert.rejects(process().offers(), (error: unknown) => {
    assert.ok(error instanceof CloudRefuses)
    assert.equal(error.refusal.code, code)
    assert.match(error.refusal.cause, cause)
    assert.match(error.refusal.remedy, remedy)
    return true
  })
})

test('the oldest server that is known to work, and one that is newer than any we know, are asked as ever', async () => {
  for (const apiVersion of [55, 99]) {
    server.sky.faults.apiVersion = apiVersion
    assert.ok((await process().offers()).length > 0)
  }
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
