import { chipWords } from './hardware.ts'

export type Maker = 'NVIDIA' | 'AMD'

/** What is known about a kind of GPU. `gib` is what its driver shows, which is less than what it is sold as. */
export interface GpuSpec {
  readonly name: string
  readonly soldGib: number
  readonly gib: number
  readonly generation: string
  readonly maker: Maker
  /** CUDA compute capability, by NVIDIA's list of it (developer.nvidia.com/cuda/gpus); null for other makers. */
  readonly capability: number | null
  readonly bandwidthGBps: number
  readonly bf16: boolean
  readonly fp8: boolean
  /** Where memory and bandwidth were read. */
  readonly source: string
}

type Row = readonly [string, number, number, string, number | null, number, string]

// Memory as it is sold, and as nvidia-smi or rocm-smi shows it, rounded down to a quarter of a GiB; bandwidth is the
// maker's promise.
const rows: readonly Row[] = [
  ['K80', 12, 11, 'Kepler', 3.7, 240, 'NVIDIA Tesla K80 data sheet'],
  ['M60', 8, 7.25, 'Maxwell', 5.2, 160, 'NVIDIA Tesla M60 data sheet'],
  ['P4', 8, 7.25, 'Pascal', 6.1, 192, 'NVIDIA Tesla P4 data sheet'],
  ['P100', 16, 15.75, 'Pascal', 6, 732, 'NVIDIA Tesla P100 data sheet'],
  ['V100', 16, 16, 'Volta', 7, 900, 'NVIDIA V100 data sheet'],
  ['V100-32GB', 32, 31.75, 'Volta', 7, 900, 'NVIDIA V100 data sheet'],
  ['T4', 16, 15, 'Turing', 7.5, 320, 'NVIDIA T4 product brief'],
  ['A10', 24, 22.25, 'Ampere', 8.6, 600, 'NVIDIA A10 data sheet'],
  ['A10G', 24, 22.25, 'Ampere', 8.6, 600, 'NVIDIA A10G data sheet'],
  ['A40', 48, 45, 'Ampere', 8.6, 696, 'NVIDIA A40 data sheet'],
  ['A100', 40, 40, 'Ampere', 8, 1555, 'NVIDIA A100 data sheet'],
  ['A100-80GB', 80, 79.25, 'Ampere', 8, 1935, 'NVIDIA A100 data sheet, the slower PCIe form'],
  ['RTX3090', 24, 24, 'Ampere', 8.6, 936, 'NVIDIA GeForce RTX 3090 specifications'],
  ['RTXA6000', 48, 48, 'Ampere', 8.6, 768, 'NVIDIA RTX A6000 data sheet'],
  ['L4', 24, 22.25, 'Ada', 8.9, 300, 'NVIDIA L4 data sheet'],
  ['L40', 48, 45, 'Ada', 8.9, 864, 'NVIDIA L40 data sheet'],
  ['L40S', 48, 45, 'Ada', 8.9, 864, 'NVIDIA L40S data sheet'],
  ['RTX6000-Ada', 48, 48, 'Ada', 8.9, 960, 'NVIDIA RTX 6000 Ada data sheet'],
  ['RTX4090', 24, 24, 'Ada', 8.9, 1008, 'NVIDIA GeForce RTX 4090 specifications'],
  ['RTX5090', 32, 31.75, 'Blackwell', 12, 1792, 'NVIDIA GeForce RTX 5090 specifications'],
  ['RTXPRO6000', 96, 95.5, 'Blackwell', 12, 1597, 'NVIDIA RTX PRO 6000 Server Edition data sheet'],
  ['H100', 80, 79.5, 'Hopper', 9, 2000, 'NVIDIA H100 data sheet, the slower PCIe form'],
  ['H100-NVL', 94, 93.5, 'Hopper', 9, 3900, 'NVIDIA H100 NVL data sheet'],
  ['GH200', 96, 95.5, 'Hopper', 9, 4000, 'NVIDIA GH200 data sheet, the form with HBM3'],
  ['H200', 141, 140.25, 'Hopper', 9, 4800, 'NVIDIA H200 data sheet'],
  ['B200', 180, 179, 'Blackwell', 10, 8000, 'NVIDIA DGX B200 data sheet'],
  // The memory that its driver shows is a guess: the data sheet counts in powers of ten.
  ['B300', 288, 267.75, 'Blackwell', 10.3, 8000, 'NVIDIA DGX B300 data sheet'],
  ['MI300X', 192, 191.75, 'CDNA 3', null, 5300, 'AMD Instinct MI300X data sheet'],
]

export const gpuSpecs: readonly GpuSpec[] = rows.map(
  ([name, soldGib, gib, generation, capability, bandwidthGBps, source]) => ({
    name,
    soldGib,
    gib,
    generation,
    maker: capability === null ? 'AMD' : 'NVIDIA',
    capability,
    bandwidthGBps,
    // Compute capability says it for NVIDIA (8.0 and 8.9); the one AMD chip in the table has both.
    bf16: capability === null || capability >= 8,
    fp8: capability === null || capability >= 8.9,
    source,
  }),
)

// A driver keeps at most a tenth for itself, so a card that is named by its full size still finds its row.
const sameSize = 1.12

// Some clouds leave the family out; a T4g is a T4 beside an Arm processor.
const otherNames: Readonly<Record<string, string>> = { a6000: 'rtxa6000', t4g: 't4' }

const chipOf = (name: string): string => {
  const chip = chipWords(name).join('')
  return otherNames[chip] ?? chip
}

/**
 * The row for a GPU as a cloud or a driver calls it. Where one name comes in several sizes, the memory or the size in
 * the name decides; without either it is the one of just this name, or the smallest, which never promises too much.
 */
export function gpuNamed(name: string, vramGib: number): GpuSpec | null {
  const chip = chipOf(name)
  const said = vramGib > 0 ? vramGib : Number(/(\d+) ?GB/i.exec(name)?.[1] ?? 0)
  const sizes = gpuSpecs.filter((spec) => chipOf(spec.name) === chip).sort((a, b) => b.gib - a.gib)
  const called = said > 0 ? undefined : sizes.find((spec) => spec.name === name)
  return called ?? sizes.find(({ gib }) => gib <= said * sameSize) ?? sizes.at(-1) ?? null
}

/** Who makes a GPU, as far as its name or the table says. */
export function makerOf(name: string): Maker | null {
  if (/^(AMD|Radeon|Instinct|MI\d)/i.test(name)) return 'AMD'
  return gpuNamed(name, 0)?.maker ?? null
}

/** GiB of one GPU as it is sold; price lists of some clouds come without, and then it is 0. Zero where nobody knows. */
export function soldGibOf(name: string, listedGib: number): number {
  const called = gpuSpecs.find((spec) => spec.name === name)
  if (called || !(listedGib > 0)) return (called ?? gpuNamed(name, 0))?.soldGib ?? 0
  return Math.floor(listedGib)
}
