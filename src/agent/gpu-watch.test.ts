import assert from 'node:assert/strict'
import { appendFileSync, existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { GpuWatch } from './gpu-watch.ts'
import { readGpus } from './hardware.ts'
import { openKernelLog, readRecord } from './kernel-log.ts'
import { NodeDisk } from './node-disk.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-gpus-'))
  log('an old line\n', xid(79, '3B'))
  healthy()
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const logFile = () => join(dir, 'kern.log')
const log = (...lines: string[]) => appendFileSync(logFile(), lines.map((line) => `${line.trimEnd()}\n`).join(''))
const xid = (number: number, bus: string) => `[  12.3] NVRM: Xid (PCI:0000:${bus}:00): ${number}, pid=7, name=python3`

/** Figures, then: errors of memory, pages and rows that wait, rows that failed, what the driver asks for. */
const row = (index: number, health = '0, [N/A], No, No, None') =>
  `${index}, GPU-${index}, NVIDIA H100 80GB HBM3, 81559, 0, 4, 30, 00000000:${index}B:00.0, ${health}`

function smi(script: string): void {
  writeFileSync(join(dir, 'nvidia-smi'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
}
const says = (rows: readonly string[], code = 0) => smi(`cat <<'END'\n${rows.join('\n')}\nEND\nexit ${code}`)
const healthy = () => says([row(2), row(3)])

interface Life {
  readonly watch: GpuWatch
  readonly said: string[]
  readonly found: () => (readonly [string, string | null])[]
}

/** One life of the agent on this disk; its clock is stopped, so every look is asked for. */
async function life(over: { kernelLog?: string; env?: Record<string, string> } = {}): Promise<Life> {
  const env = { PATH: `${dir}:/bin:/usr/bin`, ...over.env }
  const said: string[] = []
  const watch = new GpuWatch({
    gpus: await readGpus(env),
    env,
    disk: new NodeDisk(join(dir, 'node')),
    kernelLog: over.kernelLog ?? logFile(),
    say: (text) => said.push(text),
    onFault: () => said.push('told'),
  })
  await watch.look()
  const found = () =>
    watch.faults.map(({ source, xid, gpu }) => [xid === null ? source : `${source} ${xid}`, gpu] as const)
  return { watch, said, found }
}

const ended: GpuWatch[] = []
afterEach(() => {
  for (const watch of ended.splice(0)) watch.stop()
})
const started = async (...over: Parameters<typeof life>) => {
  const one = await life(...over)
  ended.push(one.watch)
  return one
}

describe('a fault of a GPU', () => {
  test('is none when it was there at the join, and is told once when it comes later', async () => {
    says([row(2, '4, Yes, Yes, Yes, Reset'), row(3)])
    const { watch, found, said } = await started()
    assert.deepEqual(found(), [])
    says([row(2, '4, Yes, Yes, Yes, Reset'), row(3, '1, No, Yes, No, Reboot')])
    await watch.look()
    await watch.look()
    assert.deepEqual(found(), [
      ['ecc', 'GPU-3'],
      ['rows', 'GPU-3'],
      ['recovery', 'GPU-3'],
    ])
    assert.equal(watch.faults[0]?.evidence, 'nvidia-smi: ecc.errors.uncorrected.volatile.total 1, was 0')
    assert.equal(said.filter((text) => text === 'told').length, 3)
  })

  test('in the log is one of this node only after the join, for its own GPUs, and once', async () => {
    const { watch, found } = await started({ env: { FLIGHTDECK_GPUS: 'GPU-3' } })
    log(xid(79, '2B'), xid(13, '3B'), 'something else', xid(48, '3B'), xid(48, '3B'))
    watch.readLog()
    watch.readLog()
    assert.deepEqual(found(), [
      ['xid 13', 'GPU-3'],
      ['xid 48', 'GPU-3'],
    ])
    assert.equal(watch.faults[1]?.evidence, xid(48, '3B'))
  })

  test('that a restarted agent finds is the one that came while none looked; what was told before is not lost', async () => {
    await started()
    log(xid(79, '2B'))
    const second = await started()
    assert.deepEqual(second.found(), [['xid 79', 'GPU-2']])
    log(xid(94, '3B'))
    says([row(3)])
    const third = await started()
    assert.deepEqual(third.found().slice(0, 2), [
      ['xid 79', 'GPU-2'],
      ['xid 94', 'GPU-3'],
    ])
    await third.watch.look()
    assert.deepEqual(third.found()[2], ['lost', 'GPU-2'])
  })

  test('is found in a log that was put aside meanwhile for a new one', async () => {
    const { watch, found } = await started()
    renameSync(logFile(), `${logFile()}.1`)
    log(xid(119, '2B'))
    watch.readLog()
    assert.deepEqual(found(), [['xid 119', 'GPU-2']])
  })
})

describe('a GPU is lost', () => {
  const lost = (bus: string) =>
    `Unable to determine the device handle for GPU 0000:${bus}:00.0: GPU is lost.  Reboot the system to recover this GPU`

  test('when nvidia-smi lists it no more, twice', async () => {
    const { watch, found } = await started()
    says([row(2)])
    await watch.look()
    assert.deepEqual(found(), [])
    healthy()
    await watch.look()
    says([row(2)])
    await watch.look()
    assert.deepEqual(found(), [], 'it was there in between')
    await watch.look()
    assert.deepEqual(found(), [['lost', 'GPU-3']])
    assert.match(watch.faults[0]?.evidence ?? '', /^nvidia-smi lists 1 of 2 GPUs/)
  })

  test.each([
    ['names it', [lost('3B')], 15, ['GPU-3']],
    ['finds none', ['No devices were found'], 6, ['GPU-2', 'GPU-3']],
  ])('when nvidia-smi fails and %s', async (_, rows, code, gpus) => {
    const { watch, found } = await started()
    says(rows, code)
    await watch.look()
    await watch.look()
    assert.deepEqual(
      found(),
      gpus.map((gpu) => ['lost', gpu]),
    )
    assert.equal(watch.faults[0]?.evidence, rows[0])
  })

  test('not when it is absent, slow, or of another version than the driver, and not for a GPU of somebody else', async () => {
    const { watch, found } = await started({ env: { FLIGHTDECK_GPUS: 'GPU-2' } })
    const lookTwice = async () => {
      await watch.look()
      await watch.look()
      assert.deepEqual(found(), [])
    }
    says(['Failed to initialize NVML: Driver/library version mismatch'], 18)
    await lookTwice()
    says([lost('3B')], 15)
    await lookTwice()
    says([row(2)])
    await lookTwice()
    rmSync(join(dir, 'nvidia-smi'))
    await lookTwice()
    assert.equal(watch.gpus.length, 1, 'what is known of them stays')
  })
})

test('a driver that does not know a field is asked without it', async () => {
  const refuses = (field: string) =>
    `case "$1" in *${field}*) echo 'Field "${field}" is not a valid field to query.'; exit 2;; esac`
  const old = (health: string) =>
    smi(
      `${refuses('gpu_recovery_action')}\n${refuses('remapped_rows.failure')}\necho "${row(2, health)}"\necho "${row(3, '0, No, No')}"`,
    )
  old('0, No, No')
  const { watch, found } = await started()
  old('0, Yes, Yes')
  await watch.look()
  assert.deepEqual(found(), [
    ['pages', 'GPU-2'],
    ['rows', 'GPU-2'],
  ])
})

test('a machine without GPUs is not watched, and one whose log nobody may read says so and is watched by nvidia-smi', async () => {
  smi('exit 9')
  const { said } = await started()
  assert.deepEqual(said, [])
  assert.equal(existsSync(join(dir, 'node/gpus.json')), false)
  healthy()
  const blind = await started({ kernelLog: join(dir, 'absent') })
  assert.match(blind.said[0] ?? '', /cannot be read/)
  says([row(2, '1, No, No, No, None'), row(3)])
  await blind.watch.look()
  assert.deepEqual(blind.found(), [['ecc', 'GPU-2']])
})

test('records of the kernel are read without their head and what describes the device', () => {
  const record =
    '4,1290,3521785,-;NVRM: Xid (PCI:0000:00:06): 79, GPU has fallen\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:06.0\n'
  assert.deepEqual(readRecord(record), { seq: 1_290, text: 'NVRM: Xid (PCI:0000:00:06): 79, GPU has fallen' })
})

test.runIf(openKernelLog('/dev/kmsg', null))("this system's own log goes on where it was left", () => {
  const place = openKernelLog('/dev/kmsg', null)?.place
  assert.ok(place && place.at > 0)
  const since = (at: number, of = place.of) => openKernelLog('/dev/kmsg', { ...place, of, at })?.read().length ?? 0
  // The kernel may say something at any moment, so there may be more than is asked for here.
  const all = since(place.at, 'the boot before')
  assert.ok(since(place.at - 1) > 0 && since(place.at - 1) < all)
})
