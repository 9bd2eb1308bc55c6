import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'vitest'
import { hardwareMismatch } from '../core/hardware.ts'
import { hardwareSchema } from '../wire/agent.ts'
import { parseSmi, readGpus, readHardware, visibleGpus } from './hardware.ts'

const csv = `0, GPU-1f0e, NVIDIA H200, 143771, 37, 120034, 61
1, GPU-20aa, NVIDIA H200, 143771, [N/A], [N/A], [N/A]
`

const parseGpus = (text: string) => parseSmi(text).map(({ gpu }) => gpu)

test('figures that the driver does not have are unknown, not zero', () => {
  assert.deepEqual(parseGpus(csv), [
    {
      index: 0,
      uuid: 'GPU-1f0e',
      name: 'NVIDIA H200',
      memoryMib: 143771,
      utilizationPercent: 37,
      memoryUsedMib: 120034,
      temperatureC: 61,
    },
    {
      index: 1,
      uuid: 'GPU-20aa',
      name: 'NVIDIA H200',
      memoryMib: 143771,
      utilizationPercent: null,
      memoryUsedMib: null,
      temperatureC: null,
    },
  ])
})

test('what a real nvidia-smi tells is read whole, and is the H200 that was ordered', () => {
  const real = readFileSync(join(import.meta.dirname, '../../test/fixtures/nvidia-smi/h200-agent.csv'), 'utf8')
  const gpus = parseGpus(real)
  assert.deepEqual(gpus, [
    {
      index: 0,
      uuid: 'GPU-27149535-6073-2b3f-fc3f-71ff2d4504f0',
      name: 'NVIDIA H200',
      memoryMib: 143_771,
      utilizationPercent: 0,
      memoryUsedMib: 0,
      temperatureC: 41,
    },
  ])
  const [{ address, signs } = {}] = parseSmi(real)
  assert.equal(address, '0000:00:06')
  assert.deepEqual(signs, { ecc: 0, pages: null, rows: false, rows_failed: false, recovery: false })
  const ordered = { id: 'o', cloud: 'c', region: 'r', gpu: 'H200', gpuCount: 1, vramGib: 141, spot: false }
  assert.equal(hardwareMismatch({ ...ordered, pricePerHourMicroUsd: 1, available: null }, gpus), null)
})

test('text that is no table is no GPU', () => {
  assert.deepEqual(parseGpus('No devices were found\n'), [])
})

test('only GPUs that the engine may use count, in the order that it sees them', () => {
  const rows = parseSmi(csv)
  const seen = (visible: string | undefined) => visibleGpus(rows, visible).map(({ gpu: { index } }) => index)
  assert.deepEqual(seen(undefined), [0, 1])
  assert.deepEqual(seen('1,0'), [1, 0])
  assert.deepEqual(seen('1,7,0'), [1], 'an unknown one ends the list')
  assert.deepEqual(seen(''), [])
  assert.deepEqual(seen('-1'), [])
  assert.deepEqual(seen('GPU-20,GPU-1f0e'), [1, 0], 'a UUID may be cut short')
  assert.deepEqual(seen('GPU-8932f937'), [])
  assert.deepEqual(seen('MIG-8932f937'), [0, 1], 'parts cannot be told apart here')
})

test('a machine reports the GPUs that it was given and no other, whatever their indexes are by now', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'fd-smi-'))
  const mixed = csv.replace('GPU-1f0e, NVIDIA H200, 143771', 'GPU-1f0e, Tesla T4, 15360')
  writeFileSync(join(dir, 'nvidia-smi'), `#!/bin/sh\nprintf '%s' '${mixed}'\n`, { mode: 0o755 })
  const told = (FLIGHTDECK_GPUS: string) =>
    readGpus({ PATH: `${dir}:/bin:/usr/bin`, CUDA_VISIBLE_DEVICES: '0', FLIGHTDECK_GPUS })
  assert.deepEqual(
    (await told('GPU-20aa')).map(({ name, index }) => [name, index]),
    [['NVIDIA H200', 1]],
  )
  assert.deepEqual(await told('GPU-lost'), [])
  rmSync(dir, { recursive: true })
})

test('nvidia-smi is looked up in PATH; without it there are no GPUs, and that is no error', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'fd-smi-'))
  assert.deepEqual(await readGpus({ PATH: dir }), [])
  writeFileSync(join(dir, 'nvidia-smi'), `#!/bin/sh\nprintf '%s' '${csv}'\n`, { mode: 0o755 })
  assert.equal((await readGpus({ PATH: `${dir}:/bin:/usr/bin` })).length, 2)
  assert.ok(hardwareSchema.safeParse(await readHardware({ PATH: dir })).success)
  rmSync(dir, { recursive: true })
})
