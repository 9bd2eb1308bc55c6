import { soldGibOf } from '../../core/gpus.ts'
import { microUsdOf } from '../../core/money.ts'
import type { Offer } from '../../core/offer.ts'
import { fieldsOf, listOf, textOf } from './api-answers.ts'

export interface OfferTerms {
  /** As SkyPilot calls it; Slurm's clusters are called by name behind a slash. */
  readonly cloud: string
  /** A Slurm cluster: its price list says partitions where others say regions. */
  readonly slurmCluster: string | null
  /** Empty: all. */
  readonly regions: readonly string[]
  readonly gpus: readonly string[]
  readonly spot: boolean
  /** GPUs that are free now, by name, where the cloud says so. */
  readonly free: ReadonlyMap<string, number>
}

/** Offers from `/list_accelerators`: of several machines with the same GPUs in one place, the cheapest. */
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
  readonly gpu: string
  readonly gpuCount: number
  readonly memoryGib: number
  readonly price: number | null
  readonly spotPrice: number | null
  readonly region: string
}

/** A tuple: cloud, machine, GPU, count, CPUs, GiB of a GPU, GiB of the machine, price, spot price, region. */
function readRow(row: unknown): Row[] {
  const [, , gpu, count, , gpuMemory, , price, spotPrice, region] = listOf(row)
  const name = textOf(gpu)
  const place = textOf(region)
  const gpuCount = Number(count)
  // Parts of a GPU are sold as well; nothing here could place a model on one.
  if (!name || !place || !Number.isInteger(gpuCount) || gpuCount < 1) return []
  const memoryGib = soldGibOf(name, Number(gpuMemory ?? 0))
  return [{ gpu: name, gpuCount, memoryGib, price: priceOf(price), spotPrice: priceOf(spotPrice), region: place }]
}

const priceOf = (value: unknown): number | null => (typeof value === 'number' && value >= 0 ? value : null)

function offersOf(row: Row, terms: OfferTerms): Offer[] {
  if (terms.gpus.length > 0 && !terms.gpus.includes(row.gpu)) return []
  const places = placesOf(row.region, terms.slurmCluster)
  const wanted = places.filter((region) => terms.regions.length === 0 || terms.regions.includes(region))
  // Slurm has no spot machines, and yet its price list has a price for them.
  const spotPrice = terms.spot && terms.slurmCluster === null ? row.spotPrice : null
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

function offerAt(row: Row, { cloud, free }: OfferTerms, region: string, spot: boolean, price: number | null): Offer[] {
  if (price === null) return []
  const { gpu, gpuCount } = row
  const freeGpus = free.get(gpu)
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
      available: freeGpus === undefined ? null : Math.floor(freeGpus / gpuCount),
    },
  ]
}

/** Free GPUs of one Slurm cluster from `/slurm_gpu_availability`: name, its GPUs as `[name, counts, all, free]`. */
export function freeGpusOf(availability: unknown, slurmCluster: string): Map<string, number> {
  const found = listOf(availability).find((entry) => listOf(entry)[0] === slurmCluster)
  const gpus = listOf(listOf(found)[1]).map((gpu) => listOf(gpu))
  return new Map(gpus.flatMap(([name, , , free]) => (textOf(name) ? [[String(name), Number(free)] as const] : [])))
}
