import assert from 'node:assert/strict'
import { test } from 'vitest'
import { hardwareMismatch } from './hardware.ts'
import type { Offer } from './offer.ts'

const ordered: Offer = {
  id: 'x',
  cloud: 'c',
  region: 'r',
  gpu: 'H100',
  gpuCount: 2,
  vramGib: 80,
  spot: false,
  pricePerHourMicroUsd: 1,
  available: null,
}
const h100 = { name: 'NVIDIA H100 80GB HBM3', memoryMib: 81_559 }

test('what was ordered is found whatever the driver adds to its name and keeps of its memory', () => {
  assert.equal(hardwareMismatch(ordered, [h100, h100]), null)
  assert.equal(hardwareMismatch({ ...ordered, gpu: 'h-100' }, [h100, h100, h100]), null)
})

test('too few, too small or other cards are told with what was ordered and what was found', () => {
  for (const found of [[], [h100], [h100, { ...h100, memoryMib: 40_000 }], [h100, { ...h100, name: 'NVIDIA A100' }]]) {
    const mismatch = hardwareMismatch(ordered, found)
    assert.equal(mismatch?.code, 'hardware_mismatch')
    assert.match(mismatch.cause, /^Ordered was 2 x H100 of 80 GiB; the machine has /)
  }
})

test('an order without a GPU demands nothing', () => {
  assert.equal(hardwareMismatch({ ...ordered, gpu: null, gpuCount: 0 }, []), null)
})
