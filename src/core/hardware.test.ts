import { expect, test } from 'vitest'
import { hardwareMismatch } from './hardware.ts'
import type { Offer } from './offer.ts'

const offer = (gpu: string | null, gpuCount: number, vramGib: number): Offer => ({
  id: 'o',
  cloud: 'c',
  region: 'r',
  gpu,
  gpuCount,
  vramGib,
  spot: false,
  pricePerHourMicroUsd: 1,
  available: null,
})
const found = (name: string, memoryMib: number, count = 1) => Array.from({ length: count }, () => ({ name, memoryMib }))

test('what a driver calls the ordered GPU is accepted, with the memory that it keeps for itself', () => {
  const pairs: [string, number, string, number][] = [
    ['A100-80GB', 80, 'NVIDIA A100-SXM4-80GB', 81_920],
    ['A100-80GB', 80, 'NVIDIA A100 80GB PCIe', 81_251],
    ['A100', 40, 'NVIDIA A100-SXM4-40GB', 40_960],
    ['H100-SXM', 80, 'NVIDIA H100 80GB HBM3', 81_559],
    ['RTX6000-Ada', 48, 'NVIDIA RTX 6000 Ada Generation', 46_068],
    ['L4', 24, 'NVIDIA L4', 23_034],
    ['A10G', 24, 'NVIDIA A10G', 22_731],
    ['V100-32GB', 32, 'Tesla V100-SXM2-32GB', 32_510],
    ['NVIDIA L4', 22, 'NVIDIA L4', 23_034],
    ['T4', 0, 'Tesla T4', 15_360],
    ['T4g', 16, 'NVIDIA T4G', 15_360],
    ['K80', 12, 'Tesla K80', 11_441],
    ['M60', 8, 'Tesla M60', 7_618],
    ['P4', 8, 'Tesla P4', 7_611],
    ['P100', 16, 'Tesla P100-PCIE-16GB', 16_280],
    ['V100', 16, 'Tesla V100-SXM2-16GB', 16_160],
    ['A10', 24, 'NVIDIA A10', 23_028],
    ['A40', 48, 'NVIDIA A40', 46_068],
    ['A100-80GB-SXM', 80, 'NVIDIA A100-SXM4-80GB', 81_920],
    ['RTX3090', 24, 'NVIDIA GeForce RTX 3090', 24_576],
    ['RTX4090', 24, 'NVIDIA GeForce RTX 4090', 24_564],
    ['RTX5090', 32, 'NVIDIA GeForce RTX 5090', 32_607],
    ['RTXA6000', 48, 'NVIDIA RTX A6000', 49_140],
    ['A6000', 48, 'NVIDIA RTX A6000', 49_140],
    ['RTX6000Ada', 48, 'NVIDIA RTX 6000 Ada Generation', 49_140],
    ['RTXPRO6000', 96, 'NVIDIA RTX PRO 6000 Blackwell Server Edition', 97_887],
    ['L40', 48, 'NVIDIA L40', 46_068],
    ['L40S', 48, 'NVIDIA L40S', 46_068],
    ['H100', 80, 'NVIDIA H100 PCIe', 81_559],
    ['H100-80GB', 80, 'NVIDIA H100 80GB HBM3', 81_559],
    ['H100-MEGA', 80, 'NVIDIA H100 80GB HBM3', 81_559],
    ['H100-NVL', 94, 'NVIDIA H100 NVL', 95_830],
    ['H200', 141, 'NVIDIA H200', 143_771],
    ['H200-SXM', 141, 'NVIDIA H200', 143_771],
    ['GH200', 96, 'NVIDIA GH200 480GB', 97_871],
    ['B200', 180, 'NVIDIA B200', 183_359],
    ['B300', 288, 'NVIDIA B300 SXM6 AC', 275_040],
    ['MI300X', 192, 'AMD Instinct MI300X OAM', 196_592],
  ]
  for (const [ordered, gib, name, mib] of pairs)
    expect(hardwareMismatch(offer(ordered, 1, gib), found(name, mib)), ordered).toBeNull()
})

test('another GPU, fewer of them, or too little memory is a mismatch that names both', () => {
  const ordered = offer('A100-80GB', 2, 80)
  const right = 'NVIDIA A100-SXM4-80GB'
  for (const gpus of [
    [],
    found('NVIDIA A10', 81_920, 2),
    found(right, 81_920),
    found('NVIDIA A100-SXM4-40GB', 40_960, 2),
    [...found(right, 81_920), ...found('NVIDIA A100-SXM4-40GB', 40_960)],
  ])
    expect(hardwareMismatch(ordered, gpus)).toMatchObject({ code: 'hardware_mismatch', retry: 'elsewhere' })
  expect(hardwareMismatch(ordered, found('NVIDIA A10', 23_000))?.cause).toBe(
    'Ordered was 2 x A100-80GB of 80 GiB; the machine has NVIDIA A10 (23000 MiB).',
  )
  expect(hardwareMismatch(offer('H100-SXM', 1, 80), found('NVIDIA H100 PCIe', 81_559))).not.toBeNull()
})

test('more than was ordered is welcome, and an offer without a GPU demands nothing', () => {
  expect(hardwareMismatch(offer('L4', 1, 24), found('NVIDIA L4', 23_034, 4))).toBeNull()
  expect(hardwareMismatch(offer(null, 0, 0), [])).toBeNull()
})
