// The cloud of a rehearsal: an API server, machines of this host and their metadata services, until its input ends.
import { createInterface } from 'node:readline'
import { parse } from 'yaml'
import { FakeAwsMetadata } from '../sim/metadata.ts'
import { SimRentedMachines } from '../sim/rented-machines.ts'

/** One line of its input, as JSON. */
interface Order {
  /** The machine of that name is taken back, or no more. */
  readonly notice?: { readonly name: string; readonly stands: boolean }
  /** The API server answers nobody. */
  readonly away?: boolean
}

const machines = new SimRentedMachines(parse)
const services: FakeAwsMetadata[] = []
for (let n = Number(process.argv[2]); n > 0; n--) services.push(await new FakeAwsMetadata().listen())
machines.metadata.push(...services)
machines.sky.faults.infra = ['aws']
console.log(JSON.stringify({ url: await machines.start() }))

for await (const line of createInterface({ input: process.stdin })) {
  const { notice, away } = JSON.parse(line) as Order
  if (away !== undefined) machines.sky.faults.away = away
  const service = services[machines.rented.findIndex(({ name }) => name === notice?.name)]
  if (notice && service) {
    service.slides = true
    service.action = notice.stands ? { action: 'terminate', time: '' } : null
  }
}
await machines.stop()
for (const service of services) await service.close()
