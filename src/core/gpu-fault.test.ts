import { expect, test } from 'vitest'
import {
  actionOf,
  faultText,
  gpuAddress,
  gpuFailure,
  isBroken,
  isSameFault,
  readXid,
  smiSigns,
  type ToldGpuFault,
  xids,
} from './gpu-fault.ts'

const xid = (number: number, evidence = `Xid ${number}`): ToldGpuFault => ({
  source: 'xid',
  xid: number,
  gpu: 'GPU-1',
  evidence,
})

test("what NVIDIA wants a reset, a reboot or a technician for is replaced; an application's fault is its engine's", () => {
  const actions = (action: string) => Object.keys(xids).filter((number) => actionOf(xid(Number(number))) === action)
  expect(actions('engine').map(Number)).toEqual([8, 13, 31, 32, 43, 45, 68, 69, 109])
  for (const number of [48, 63, 64, 74, 79, 94, 95, 119, 120, 140]) expect(actionOf(xid(number))).toBe('replace')
  for (const [number, { nvidia, action, doubt }] of Object.entries(xids)) {
    const wanted = /^(RESET_GPU|RESTART_BM|RESTART_VM|CHECK_MECHANICALS|WORKFLOW_XID_48)$/.test(nvidia)
    // Where we read it otherwise than NVIDIA does, the table says why.
    if (wanted !== (action === 'replace')) expect(doubt, `XID ${number}`).toBeTruthy()
  }
})

test('a number, or a source, that nobody here knows is shown and nothing is done', () => {
  expect([actionOf(xid(999)), faultText(xid(999))]).toEqual(['none', 'XID 999 (not known here), GPU-1'])
  const later = { source: 'fabric', xid: null, gpu: null, evidence: 'x' }
  expect([actionOf(later), faultText(later)]).toEqual(['none', 'fabric'])
  expect(actionOf({ ...later, source: 'toString' })).toBe('none')
})

test('a driver that asks for nothing any more breaks no machine', () => {
  const changed = (to: string) => xid(154, `Xid (PCI:0000:cb:00): 154, GPU recovery action changed from ${to}`)
  expect(isBroken([changed('0x0 (None) to 0x2 (Node Reboot Required)')])).toBe(true)
  expect(isBroken([changed('0x1 (GPU Reset Required) to 0x0 (None)')])).toBe(false)
})

test('the failure names the first fatal fault, and has the lines of all of them', () => {
  const signs = Object.keys(smiSigns).map((source) => ({ source, xid: null, gpu: null, evidence: source }))
  for (const sign of signs) expect(isBroken([sign]), sign.source).toBe(true)
  expect(gpuFailure([xid(13)])).toBeNull()
  const failure = gpuFailure([xid(13), xid(79, 'the bus'), xid(48, 'the memory')])
  expect(failure).toMatchObject({ code: 'gpu_fault', retry: 'elsewhere', evidence: 'the bus\nthe memory' })
  expect(failure?.cause).toBe('A GPU of the machine is faulty: XID 79 (GPU has fallen off the bus), GPU-1.')
})

test('the same fault is the same whatever the line says, and another one on another GPU', () => {
  expect(isSameFault(xid(79, 'a'), xid(79, 'b'))).toBe(true)
  expect(isSameFault(xid(79), { ...xid(79), gpu: 'GPU-2' })).toBe(false)
  expect(isSameFault(xid(79), xid(48))).toBe(false)
})

test('lines of the kernel, of old and new drivers, are read with their GPU, and others are none', () => {
  const read = (line: string) => readXid(line)
  const fallen = "NVRM: Xid (PCI:0000:C6:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
  expect(read(fallen)).toEqual({ address: '0000:c6:00', xid: 79 })
  const logged = 'Sep 10 15:53:19 saturn kernel: [ 5107.6] NVRM: Xid (PCI:0000:10:00): 79, pid=0, GPU has fallen'
  expect(read(logged)).toEqual({ address: '0000:10:00', xid: 79 })
  expect(read('NVRM: Xid (0000:01:00): 13, 0001 00000000')).toEqual({ address: '0000:01:00', xid: 13 })
  expect(read('NVRM: GPU at PCI:0000:10:00: GPU-072931a9')).toBeNull()
  expect(read('nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): 24007, Fatal, Link 12')).toBeNull()
})

test('nvidia-smi and the kernel mean the same GPU', () => {
  expect(gpuAddress('00000000:3B:00.0')).toBe('0000:3b:00')
  expect(gpuAddress('0000:3b:00')).toBe('0000:3b:00')
  expect(gpuAddress('00000001:00:00.0')).toBe('0001:00:00')
  expect(gpuAddress('47505500:00:00.0')).toBe('47505500:00:00')
  expect(gpuAddress('[N/A]')).toBeNull()
})
