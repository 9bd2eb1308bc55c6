import assert from 'node:assert/strict'
import { test } from 'vitest'
import { readFinished } from './api-answers.ts'
import { freeGpusIn, offersFrom } from './offers.ts'
import { recordedJson } from './recorded-for-tests.ts'

const valueIn = (file: string): unknown => readFinished(recordedJson(file)).value
const terms = { regions: [], gpus: [], spot: true, cpus: null, memoryGib: null, free: new Map() }
const aws = { ...terms, cloud: 'aws', slurmCluster: null }
const row = (region: string, price: number | null, spot: number | null, machine = 'g4dn.xlarge', count = 1) => [
  'AWS',
  machine,
  'T4',
  count,
  4,
  16,
  16,
  price,
  spot,
  region,
]

test('each partition of a Slurm cluster is a place of its own, with what is free there now', () => {
  const free = freeGpusIn(valueIn('api_get.slurm_gpu_availability.SUCCEEDED.http200.json'))
  const list = valueIn('api_get.list_accelerators.SUCCEEDED.http200.json')
  const offers = offersFrom(list, { ...terms, cloud: 'slurm', slurmCluster: 'lab', free })
  assert.deepEqual([...new Set(offers.map(({ region }) => region))], ['lab/main', 'lab/spot'])
  assert.ok(offers.every(({ spot, vramGib }) => !spot && vramGib === 80))
  assert.deepEqual(
    offers.filter(({ region }) => region === 'lab/main').map(({ id, available }) => [id, available]),
    [
      ['slurm/lab/main/H100x1', 7],
      ['slurm/lab/main/H100x2', 3],
      ['slurm/lab/main/H100x4', 1],
      ['slurm/lab/main/H100x8', 0],
    ],
  )
})

test('each context of Kubernetes is a place with its own free GPUs, without spot; where it cannot tell, nothing is said', () => {
  const free = freeGpusIn([
    [
      'east',
      [
        ['L4', [1, 2], 8, 3],
        ['T4', [1], 4, -1],
      ],
    ],
  ])
  const at = (gpu: string, context: string) => ['Kubernetes', null, gpu, 1, null, 0, null, 0, 0, context]
  const list = { L4: [at('L4', 'east'), at('L4', 'west')], T4: [at('T4', 'east')] }
  const offers = offersFrom(list, { ...terms, cloud: 'kubernetes', slurmCluster: null, free })
  assert.deepEqual(
    offers.map(({ id, available, vramGib }) => [id, available, vramGib]),
    [
      ['kubernetes/east/L4x1', 3, 24],
      ['kubernetes/west/L4x1', null, 24],
      ['kubernetes/east/T4x1', null, 16],
    ],
  )
})

test('spot is an offer of its own where the cloud has a price for it, and can be left out', () => {
  const list = { T4: [row('us-east-1', 0.526, 0.17), row('us-west-2', 0.526, null)] }
  const offers = offersFrom(list, aws)
  assert.deepEqual(
    offers.map(({ id, pricePerHourMicroUsd }) => [id, pricePerHourMicroUsd]),
    [
      ['aws/us-east-1/T4x1', 526_000],
      ['aws/us-east-1/T4x1/spot', 170_000],
      ['aws/us-west-2/T4x1', 526_000],
    ],
  )
  assert.ok(offersFrom(list, { ...aws, spot: false }).every(({ spot }) => !spot))
})

test('of machines with the same GPUs in one place only the cheapest is offered', () => {
  const list = { T4: [row('us-east-1', 0.9, null, 'g4dn.2xlarge'), row('us-east-1', 0.5, null)] }
  assert.deepEqual(
    offersFrom(list, aws).map(({ pricePerHourMicroUsd }) => pricePerHourMicroUsd),
    [500_000],
  )
})

test('regions and GPUs that the operator did not allow are not offered', () => {
  const list = { T4: [row('us-east-1', 0.5, null), row('eu-west-1', 0.5, null)] }
  assert.deepEqual(
    offersFrom(list, { ...aws, regions: ['eu-west-1'] }).map(({ region }) => region),
    ['eu-west-1'],
  )
  assert.deepEqual(offersFrom(list, { ...aws, gpus: ['H100'] }), [])
})

test('rows that nobody could launch, or that are not rows, are passed over', () => {
  assert.deepEqual(
    offersFrom({ T4: [row('us-east-1', null, null), row('r', 1, 1, 'x', 0.5), 'nonsense', []], X: 3 }, aws),
    [],
  )
  assert.deepEqual(offersFrom('nonsense', aws), [])
})
