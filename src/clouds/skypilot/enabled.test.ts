import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'vitest'
import { process, server, startServers } from '../../../test/sky-server.ts'
import { CloudRefuses } from '../cloud.ts'
import { offersFrom } from './offers.ts'

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

describe('a cloud that was read well', () => {
  beforeEach(() => {
    server.sky.faults.infra = ['aws']
  })

  test.each([
    ['disabled at the server', { infra: ['kubernetes/east'] }, true],
    ['out of reach, for nobody answers', { away: true }, false],
    ['of a server that wants another token', { token: 'fd' }, true],
  ])('and is %s then offers nothing more at the next read', async (_, faults, refuses) => {
    const cloud = process(undefined, 'aws')
    assert.ok((await cloud.offers()).length > 0)
    Object.assign(server.sky.faults, faults)
    await assert.rejects(cloud.offers(), (error: unknown) => error instanceof CloudRefuses === refuses)
  })

  test('has its price list read again after ten minutes, and no sooner', async () => {
    let reads = 0
    server.sky.onCall = ({ url }) => {
      if (url.pathname === '/list_accelerators') reads += 1
    }
    const cloud = process(undefined, 'aws')
    for (const later of [0, 30_000, 590_000, 610_000]) {
      server.later = later
      await cloud.offers()
    }
    assert.equal(reads, 2)
  })
})

describe('of Kubernetes', () => {
  const offered = async () =>
    (await process(undefined, 'kubernetes').offers()).map(({ id, available }) => [id, available])

  test('each context offers its own GPUs, as many as are free there; where it cannot tell, nothing is said', async () => {
    const kubernetes = {
      east: [
        ['L4', [1, 2], 8, 3],
        ['H100', [8], 8, 0],
      ],
      west: [['L4', [1], 4, -1]],
      idle: [],
    } as const
    Object.assign(server.sky.faults, { infra: ['kubernetes/east', 'kubernetes/west'], kubernetes })
    assert.deepEqual(await offered(), [
      ['kubernetes/east/L4x1', 3],
      ['kubernetes/east/L4x2', 1],
      ['kubernetes/west/L4x1', null],
      ['kubernetes/east/H100x8', 0],
    ])
  })

  test('clusters without any GPU offer nothing, which is no trouble of the server', async () => {
    server.sky.faults.infra = ['kubernetes/east']
    assert.deepEqual(await offered(), [])
  })
})

test('what is no GPU is not offered as one', () => {
  const row = (name: string) => ['AWS', 'x', name, 1, 4, 32, 16, 1, 1, 'us-east-1']
  const names = ['Trainium', 'Trainium2', 'Inferentia2', 'Gaudi HL-205', 'tpu-v5p-8', 'L4']
  const list = Object.fromEntries(names.map((name) => [name, [row(name)]]))
  const terms = {
    cloud: 'aws',
    slurmCluster: null,
    regions: [],
    gpus: [],
    spot: false,
    cpus: null,
    memoryGib: null,
    free: new Map(),
  }
  assert.deepEqual(
    offersFrom(list, terms).map(({ gpu }) => gpu),
    ['L4'],
  )
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
