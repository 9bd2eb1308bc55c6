// The cloud of a rehearsal: an API server, machines of this host and their metadata services, until its input ends.
import { createInterface } from 'node:readline'
import { parse } from 'yaml'
import type { CloudOrder } from '../cli/rehearse-cloud.ts'
import { killMachine } from '../cli/rehearse-faults.ts'
import { FakeAwsMetadata } from '../sim/metadata.ts'
import { SimRentedMachines } from '../sim/rented-machines.ts'

// As EC2 names it, from the first word of the notice.
const noticeMs = 120_000

const machines = new SimRentedMachines(parse)
const { sky } = machines
const services: FakeAwsMetadata[] = []
for (let n = Number(process.argv[2]); n > 0; n--) services.push(await new FakeAwsMetadata().listen())
machines.metadata.push(...services)
sky.faults.infra = ['aws']
console.log(JSON.stringify({ url: await machines.start() }))

const taking = new Map<string, NodeJS.Timeout>()

/** A machine is taken back, and taken when its time is over; or it is not, after all. */
function tellNotice({ name, stands, slides }: NonNullable<CloudOrder['notice']>): void {
  const service = services[machines.rented.findIndex((rented) => rented.name === name)]
  if (!service) return
  clearTimeout(taking.get(name))
  const time = new Date(Date.now() + noticeMs).toISOString()
  service.slides = slides
  service.action = stands ? { action: 'terminate', time } : null
  if (stands)
    taking.set(
      name,
      setTimeout(() => take(name), noticeMs),
    )
}

function take(name: string): void {
  killMachine(name)
  sky.vanish(name)
}

for await (const line of createInterface({ input: process.stdin })) {
  const { notice, away, unlisted } = JSON.parse(line) as CloudOrder
  if (away !== undefined) sky.faults.away = away
  if (unlisted !== undefined) sky.faults.unlisted = new Set(unlisted)
  if (notice) tellNotice(notice)
}
for (const timer of taking.values()) clearTimeout(timer)
await machines.stop()
for (const service of services) await service.close()
