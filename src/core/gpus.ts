import { chipWords } from './hardware.ts'

/** What is known about a kind of GPU. `gib` is what its driver shows, which is less than the name says. */
export interface GpuSpec {
  readonly name: string
  readonly gib: number
  readonly generation: string
  /** CUDA compute capability; null for other makers. */
  readonly capability: number | null
  readonly bandwidthGBps: number
  readonly bf16: boolean
  readonly fp8: boolean
  /** Where memory and bandwidth were read. */
  readonly source: string
}

type Row = readonly [string, number, string, number | null, number, string]

// Memory as nvidia-smi or rocm-smi shows it, rounded down to a quarter of a GiB; bandwidth is the maker's promise.
const rows: readonly Row[] = [
  ['V100', 16, 'Volta', 7, 900, 'NVIDIA V100 data sheet'],
  ['V100-32GB', 31.75, 'Volta', 7, 900, 'NVIDIA V100 data sheet'],
  ['T4', 15, 'Turing', 7.5, 320, 'NVIDIA T4 product brief'],
  ['A10', 22.25, 'Ampere', 8.6, 600, 'NVIDIA A10 data sheet'],
  ['A10G', 22.25, 'Ampere', 8.6, 600, 'NVIDIA A10G data sheet'],
  ['A40', 45, 'Ampere', 8.6, 696, 'NVIDIA A40 data sheet'],
  ['A100', 40, 'Ampere', 8, 1555, 'NVIDIA A100 data sheet'],
  ['A100-80GB', 79.25, 'Ampere', 8, 1935, 'NVIDIA A100 data sheet, the slower PCIe form'],
  ['RTX3090', 24, 'Ampere', 8.6, 936, 'NVIDIA GeForce RTX 3090 specifications'],
  ['RTXA6000', 48, 'Ampere', 8.6, 768, 'NVIDIA RTX A6000 data sheet'],
  ['L4', 22.25, 'Ada', 8.9, 300, 'NVIDIA L4 data sheet'],
  ['L40', 45, 'Ada', 8.9, 864, 'NVIDIA L40 data sheet'],
  ['L40S', 45, 'Ada', 8.9, 864, 'NVIDIA L40S data sheet'],
  ['RTX6000-Ada', 48, 'Ada', 8.9, 960, 'NVIDIA RTX 6000 Ada data sheet'],
  ['RTX4090', 24, 'Ada', 8.9, 1008, 'NVIDIA GeForce RTX 4090 specifications'],
  ['RTX5090', 31.75, 'Blackwell', 12, 1792, 'NVIDIA GeForce RTX 5090 specifications'],
  ['H100', 79.5, 'Hopper', 9, 2000, 'NVIDIA H100 data sheet, the slower PCIe form'],
  ['H200', 140.25, 'Hopper', 9, 4800, 'NVIDIA H200 data sheet'],
  ['B200', 179, 'Blackwell', 10, 8000, 'NVIDIA DGX B200 data sheet'],
  ['MI300X', 191.75, 'CDNA 3', null, 5300, 'AMD Instinct MI300X data sheet'],
]

export const gpuSpecs: readonly GpuSpec[] = rows.map(([name, gib, generation, capability, bandwidthGBps, source]) => ({
  name,
  gib,
  generation,
  capability,
  bandwidthGBps,
  // Compute capability says it for NVIDIA (8.0 and 8.9); the one AMD chip in the table has both.
  bf16: capability === null || capability >= 8,
  fp8: capability === null || capability >= 8.9,
  source,
}))

// A driver keeps at most a tenth for itself, so a card that is named by its full size still finds its row.
const sameSize = 1.12

/**
 * The row for a GPU as a cloud or a driver calls it. Where one name comes in several sizes, the memory or the size in
 * the name decides; without either it is the smallest, which never promises too much.
 */
export function gpuNamed(name: string, vramGib: number): GpuSpec | null {
  const chip = chipWords(name).join('')
  const said = vramGib > 0 ? vramGib : Number(/(\d+) ?GB/i.exec(name)?.[1] ?? 0)
  const sizes = gpuSpecs.filter((spec) => chipWords(spec.name).join('') === chip).sort((a, b) => b.gib - a.gib)
  return sizes.find(({ gib }) => gib <= said * sameSize) ?? sizes.at(-1) ?? null
}
