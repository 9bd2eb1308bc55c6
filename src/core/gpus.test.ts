import { expect, test } from 'vitest'
import { gpuNamed, gpuSpecs, makerOf, soldGibOf } from './gpus.ts'

test('a GPU is found as clouds and drivers call it, in the size that was said', () => {
  const pairs: [string, number, string][] = [
    ['A100-80GB', 0, 'A100-80GB'],
    ['A100-80GB', 80, 'A100-80GB'],
    ['NVIDIA A100-SXM4-80GB', 79.25, 'A100-80GB'],
    ['A100', 0, 'A100'],
    ['A100', 40, 'A100'],
    ['A100', 80, 'A100-80GB'],
    ['NVIDIA A100-SXM4-40GB', 40, 'A100'],
    ['Tesla T4', 15, 'T4'],
    ['V100-32GB', 0, 'V100-32GB'],
    ['Tesla V100-SXM2-16GB', 0, 'V100'],
    ['NVIDIA H100 80GB HBM3', 79.6, 'H100'],
    ['H100-SXM', 80, 'H100'],
    ['NVIDIA H200', 140.4, 'H200'],
    ['NVIDIA RTX 6000 Ada Generation', 48, 'RTX6000-Ada'],
    ['NVIDIA GeForce RTX 4090', 24, 'RTX4090'],
    ['AMD Instinct MI300X OAM', 192, 'MI300X'],
    ['L40S', 48, 'L40S'],
    ['L4', 24, 'L4'],
    ['A10G', 0, 'A10G'],
    ['A6000', 48, 'RTXA6000'],
    ['H100-NVL', 0, 'H100-NVL'],
    ['NVIDIA H100 NVL', 93.6, 'H100-NVL'],
    ['RTX6000Ada', 48, 'RTX6000-Ada'],
    ['RTX PRO 6000', 95.6, 'RTXPRO6000'],
  ]
  for (const [name, vramGib, spec] of pairs) expect(gpuNamed(name, vramGib)?.name, name).toBe(spec)
  for (const name of ['K520', 'A4000', 'T400', '']) expect(gpuNamed(name, 0), name).toBeNull()
})

test('memory as it is sold comes from the table where the name is there or a price list leaves it out', () => {
  const sold: [string, number, number][] = [
    ['H100', 0, 80],
    ['H100-SXM', 0, 80],
    ['H100-NVL', 0, 94],
    ['A100-80GB-SXM', 0, 80],
    ['H200-SXM', 0, 141],
    ['RTX6000Ada', 0, 48],
    ['A6000', 0, 48],
    ['T4', 15.9, 16],
    ['K80', 0, 12],
    ['K520', 4.5, 4],
    ['K520', 0, 0],
    ['K520', Number.NaN, 0],
  ]
  for (const [name, listedGib, gib] of sold) expect(soldGibOf(name, listedGib), `${name} ${listedGib}`).toBe(gib)
})

test('no row is there twice, and each names where it was read', () => {
  expect(new Set(gpuSpecs.map(({ name }) => name)).size).toBe(gpuSpecs.length)
  for (const spec of gpuSpecs) {
    expect(spec.gib > 0.9 * spec.soldGib && spec.gib <= spec.soldGib && spec.bandwidthGBps > 0, spec.name).toBe(true)
    expect(spec.source, spec.name).toMatch(/data sheet|product brief|specifications/)
    expect(gpuNamed(spec.name, spec.gib), spec.name).toBe(spec)
  }
})

test('the maker is known of every GPU in the table, and of others whose name says it', () => {
  for (const { name, maker, capability } of gpuSpecs) {
    expect(makerOf(name), name).toBe(maker)
    expect(maker === 'NVIDIA', name).toBe(capability !== null)
  }
  expect(['Radeon MI25', 'MI350X', 'AMD Instinct MI210'].map(makerOf)).toEqual(['AMD', 'AMD', 'AMD'])
  expect(makerOf('K520')).toBeNull()
})

test('bfloat16 begins with Ampere and 8-bit floats with Ada', () => {
  const which = (has: 'bf16' | 'fp8') => gpuSpecs.filter((spec) => !spec[has]).map(({ name }) => name)
  expect(which('bf16')).toEqual(['K80', 'M60', 'P4', 'P100', 'V100', 'V100-32GB', 'T4'])
  expect(which('fp8')).toEqual(expect.arrayContaining(['T4', 'A10G', 'A100-80GB']))
  expect(which('fp8')).not.toContain('L4')
})
