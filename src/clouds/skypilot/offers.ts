import { soldGibOf } from '../../core/gpus.ts'
import { microUsdOf } from '../../core/money.ts'
import type { Offer } from '../../core/offer.ts'
import { fieldsOf, listOf, textOf } from './api-answers.ts'

/** GPUs that are free now: for each Slurm cluster or Kubernetes context that says so, by their name; null: it cannot tell. */
export type FreeGpus = ReadonlyMap<string, ReadonlyMap<string, number | null>>

export interface OfferTerms {
  /** As SkyPilot calls it; Slurm's clusters are called by name behind a slash. */
  readonly cloud: string
  /** A Slurm cluster: its price list says partitions where others say regions. */
  readonly slurmCluster: string | null
  /** Empty: all. */
  readonly regions: readonly string[]
  readonly gpus: readonly string[]
  readonly spot: boolean
  /** Of a machine, as in a task file: `8` is that many, `8+` is at least that many; null: any. */
  readonly cpus: string | null
  readonly memoryGib: string | null
  readonly free: FreeGpus
}

/** Offers from `/list_accelerators`: of several machines with the same GPUs in one place, the cheapest that is large enough. */
export function offersFrom(priceList: unknown, terms: OfferTerms): Offer[] {
  const rows = Object.values(fieldsOf(priceList)).flatMap((list) => listOf(list).flatMap((row) => readRow(row)))
  const cheapest = new Map<string, Offer>()
  for (const row of rows) {
    for (const offer of offersOf(row, terms)) {
      const known = cheapest.get(offer.id)
      if (!known || offer.pricePerHourMicroUsd < known.pricePerHourMicroUsd) cheapest.set(offer.id, offer)
    }
  }
  return [...cheapest.values()]
}

interface Row {
  /** The machine type; null where machines are made to measure, as on Slurm and Kubernetes. */
  readonly machine: string | null
  readonly cpus: number | null
  readonly hostGib: number | null
  readonly gpu: string
  readonly gpuCount: number
  readonly memoryGib: number
  readonly price: number | null
  readonly spotPrice: number | null
  readonly region: string
}

// SkyPilot lists them among its GPUs; no engine of ours runs on them.
const notGpus = /^(Trainium|Inferentia|Gaudi|tpu)/i

/** A tuple: cloud, machine, GPU, count, CPUs, GiB of a GPU, GiB of the machine, price, spot price, region. */
function readRow(row: unknown): Row[] {
  const [, machine, gpu, count, cpus, gpuMemory, hostGib, price, spotPrice, region] = listOf(row)
  const name = textOf(gpu)
  const place = textOf(region)
  const gpuCount = Number(count)
  // Parts of a GPU are sold as well; nothing here could place a model on one.
  if (!name || notGpus.test(name) || !place || !Number.isInteger(gpuCount) || gpuCount < 1) return []
  const memoryGib = soldGibOf(name, Number(gpuMemory ?? 0))
  const prices = { price: amountOf(price), spotPrice: amountOf(spotPrice) }
  const host = { machine: textOf(machine), cpus: amountOf(cpus), hostGib: amountOf(hostGib) }
  return [{ gpu: name, gpuCount, memoryGib, ...host, ...prices, region: place }]
}

const amountOf = (value: unknown): number | null => (typeof value === 'number' && value >= 0 ? value : null)

/** As SkyPilot compares them: a type whose size its list does not say is none that was asked for. */
const isWanted = (wanted: string | null, has: number | null): boolean =>
  wanted === null ||
  (has !== null && (wanted.endsWith('+') ? has >= Number.parseFloat(wanted) : has === Number(wanted)))

// They have no spot machines, and yet their price lists have a price for them.
const withoutSpot = new Set(['slurm', 'kubernetes', 'ssh'])

function offersOf(row: Row, terms: OfferTerms): Offer[] {
  if (terms.gpus.length > 0 && !terms.gpus.includes(row.gpu)) return []
  if (row.machine !== null && !(isWanted(terms.cpus, row.cpus) && isWanted(terms.memoryGib, row.hostGib))) return []
  const places = placesOf(row.region, terms.slurmCluster)
  const wanted = places.filter((region) => terms.regions.length === 0 || terms.regions.includes(region))
  const spotPrice = terms.spot && !withoutSpot.has(terms.cloud) ? row.spotPrice : null
  return wanted.flatMap((region) => [
    ...offerAt(row, terms, region, false, row.price),
    ...offerAt(row, terms, region, true, spotPrice),
  ])
}

/** Slurm's price list writes `main*,spot` for two partitions, of which the first is the default. */
function placesOf(region: string, slurmCluster: string | null): string[] {
  if (slurmCluster === null) return [region]
  return region.split(',').map((partition) => `${slurmCluster}/${partition.trim().replace(/\*$/, '')}`)
}

function offerAt(
  row: Row,
  { cloud, slurmCluster, free }: OfferTerms,
  region: string,
  spot: boolean,
  price: number | null,
): Offer[] {
  if (price === null) return []
  const { gpu, gpuCount } = row
  const freeHere = free.get(slurmCluster ?? region)
  // A place that tells of some GPUs and not of these has none of them free.
  const freeGpus = freeHere && (freeHere.has(gpu) ? freeHere.get(gpu) : 0)
  return [
    {
      id: `${cloud}/${region}/${gpu.replaceAll(' ', '-')}x${gpuCount}${spot ? '/spot' : ''}`,
      cloud,
      region,
      gpu,
      gpuCount,
      vramGib: row.memoryGib,
      spot,
      pricePerHourMicroUsd: microUsdOf(price),
      ...(row.machine === null ? {} : { instanceType: row.machine }),
      available: typeof freeGpus === 'number' ? Math.floor(freeGpus / gpuCount) : null,
    },
  ]
}

/**
 * Free GPUs from `/slurm_gpu_availability` and `/realtime_kubernetes_gpu_availability`: of each place its name and its GPUs as
 * `[name, counts, all, free]`, of Slurm also what went wrong there, if anything. Kubernetes by the source of 0.14.1.
 */
export function freeGpusIn(availability: unknown): FreeGpus {
  return new Map(
    listOf(availability).flatMap((entry) => {
      const [place, gpus, failed] = listOf(entry)
      if (!textOf(place) || textOf(failed)) return []
      return [[String(place), freeByName(listOf(gpus))] as const]
    }),
  )
}

// Kubernetes says -1 where it may not see what runs on the nodes.
const freeByName = (gpus: readonly unknown[]): ReadonlyMap<string, number | null> =>
  new Map(
    gpus.flatMap((gpu) => {
      const [name, , , free] = listOf(gpu)
      if (!textOf(name) || !Number.isInteger(free)) return []
      return [[String(name), Number(free) < 0 ? null : Number(free)] as const]
    }),
  )
