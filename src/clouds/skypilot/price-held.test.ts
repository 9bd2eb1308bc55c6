import assert from 'node:assert/strict'
import { beforeEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import { newName, process, server, startServers } from '../../../test/sky-server.ts'
import { awsPrices } from '../../sim/skypilot-answers.ts'

startServers()
beforeEach(() => {
  server.sky.faults.infra = ['aws']
  server.sky.faults.machineTypes = true
})

/** What an A10G is offered as where machines have to be of this size: type, spot, price. */
const offeredOf = async (host: { cpus?: string; memoryGib?: string }) =>
  (await process(undefined, 'aws', host).offers())
    .filter(({ gpu, gpuCount }) => gpu === 'A10G' && gpuCount === 1)
    .map((offer) => [offer.instanceType, offer.spot, offer.pricePerHourMicroUsd / 1e6])

test.each([
  [{}, ['g5.xlarge', false, 1.006], ['g5.2xlarge', true, 0.4]],
  [{ cpus: '32+' }, ['g5.8xlarge', false, 2.448], ['g5.8xlarge', true, 0.98]],
  [{ cpus: '16' }, ['g5.4xlarge', false, 1.624], ['g5.4xlarge', true, 0.71]],
  [{ memoryGib: '200+' }, ['g5.16xlarge', false, 4.096]],
  [{ cpus: '8+', memoryGib: '64' }, ['g5.4xlarge', false, 1.624], ['g5.4xlarge', true, 0.71]],
  [{ cpus: '5' }],
])('machines of the size %o are offered at the price of the cheapest type that has it', async (host, ...offered) => {
  expect(await offeredOf(host)).toEqual(offered)
})

test.each([{}, { cpus: '8+' }, { cpus: '4+', memoryGib: '20+' }])(
  'no machine that a task allows is dearer than its offer (%o)',
  async (host) => {
    const cloud = process(undefined, 'aws', host)
    const offers = await cloud.offers()
    assert.ok(offers.length > 2)
    for (const offer of offers) {
      assert.deepEqual(await cloud.ensureMachine({ name: newName(), offer, joinToken: 'x' }), { accepted: true })
      const { resources } = parse(String(server.sky.posted.at(-1)?.['task']))
      const allowed = allowedBy(resources).map((price) => Number(price))
      assert.deepEqual([...new Set(allowed)], [offer.pricePerHourMicroUsd / 1e6], `${offer.id} may cost more`)
    }
  },
)

interface Resources {
  readonly accelerators: string
  readonly instance_type?: string
  readonly use_spot: boolean
}

/** As SkyPilot chooses: any machine with the GPUs, unless its type is named. */
const allowedBy = ({ accelerators, instance_type, use_spot }: Resources): unknown[] =>
  Object.values(awsPrices())
    .flatMap((rows) => rows ?? [])
    .filter(([, type, gpu, count]) => `${gpu}:${count}` === accelerators && (instance_type ?? type) === type)
    .map((row) => row[use_spot ? 8 : 7])
