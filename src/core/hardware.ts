import { type FailureRecord, failureRecord } from './failure.ts'
import type { Offer } from './offer.ts'

export interface FoundGpu {
  readonly name: string
  readonly memoryMib: number
}

// Drivers and ECC keep a part of the memory for themselves: an 80 GB card shows 79.6 GiB, a 24 GB one 22.5 GiB.
const leastMemoryShare = 0.9

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '')

// Clouds say `A100-80GB`, `H100-SXM` or `H100-MEGA` where the driver says `NVIDIA A100-SXM4-80GB` or `NVIDIA H100 80GB HBM3`:
// maker, form and network are said by one and not by the other, and memory is compared by itself.
const unsaid =
  /^(nvidia|amd|tesla|geforce|quadro|instinct|radeon|generation|server|workstation|edition|sxm\d*|oam|pcie|nvl|nvlink|mega|hbm\d*e?|\d+gi?b)$/

/** The words of a GPU's name that name the chip, in lower case. */
export const chipWords = (name: string): string[] =>
  name
    .split(/[^A-Za-z0-9]+/)
    .map(plain)
    .filter((word) => word !== '' && !unsaid.test(word))

/**
 * Every word of the ordered name that names the chip is in the found one; spaces and dashes do not matter. A card in a
 * slot is slower than the module that was ordered; the other way round nobody loses.
 */
function isNamed(ordered: string, found: string): boolean {
  if (/sxm/i.test(ordered) && /pcie/i.test(found)) return false
  return chipWords(ordered).every((word) => plain(found).includes(word))
}

/** What the machine lacks of what was ordered and is paid for, or null. An offer without a GPU demands nothing. */
export function hardwareMismatch(offer: Offer, gpus: readonly FoundGpu[]): FailureRecord | null {
  const { gpu } = offer
  if (gpu === null) return null
  const ordered = `${Math.max(1, offer.gpuCount)} x ${gpu} of ${offer.vramGib} GiB`
  const named = gpus.filter(({ name }) => isNamed(gpu, name))
  const large = named.filter(({ memoryMib }) => memoryMib >= offer.vramGib * 1024 * leastMemoryShare)
  if (large.length >= Math.max(1, offer.gpuCount)) return null
  const found = gpus.map(({ name, memoryMib }) => `${name} (${memoryMib} MiB)`).join(', ') || 'no GPU'
  return failureRecord('hardware_mismatch', `Ordered was ${ordered}; the machine has ${found}.`)
}
