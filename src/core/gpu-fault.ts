import { type FailureRecord, failureRecord } from './failure.ts'

/** Who has to act: another machine takes over, the engine is started again as after any end of it, or nobody. */
export const xidActions = ['replace', 'engine', 'none'] as const
export type XidAction = (typeof xidActions)[number]

export interface XidMeaning {
  readonly means: string
  readonly action: XidAction
  /** The immediate action of NVIDIA's Xid Catalog (docs.nvidia.com/deploy/xid-errors, November 2026). */
  readonly nvidia: string
  /** Why another reading is possible; absent where there is none. */
  readonly doubt?: string
}

const rented = 'no rented machine gets the reset that NVIDIA leaves for later'

/** Error numbers of NVIDIA's driver. A reset of a GPU is not ours to make on a machine of a cloud: it is replaced. */
export const xids: Readonly<Record<number, XidMeaning>> = {
  8: { means: 'GPU stopped processing', action: 'engine', nvidia: 'RESTART_APP' },
  13: { means: 'exception in the graphics engine', action: 'engine', nvidia: 'RESTART_APP' },
  31: { means: 'page fault in GPU memory', action: 'engine', nvidia: 'RESTART_APP' },
  32: { means: 'corrupted push buffer', action: 'engine', nvidia: 'RESTART_APP' },
  43: { means: 'GPU stopped processing for one application', action: 'engine', nvidia: 'IGNORE' },
  45: { means: 'application removed after an error or its end', action: 'engine', nvidia: 'WORKFLOW_XID_45' },
  46: { means: 'GPU stopped processing', action: 'replace', nvidia: 'RESET_GPU' },
  48: { means: 'double-bit memory error', action: 'replace', nvidia: 'WORKFLOW_XID_48' },
  54: { means: 'auxiliary power is not connected', action: 'replace', nvidia: 'CHECK_MECHANICALS' },
  62: { means: 'a microcontroller of the GPU halted', action: 'replace', nvidia: 'RESET_GPU' },
  63: {
    means: 'memory is to be remapped or retired',
    action: 'replace',
    nvidia: 'IGNORE',
    doubt: `AWS replaces for it; ${rented}`,
  },
  64: { means: 'memory could not be remapped or retired', action: 'replace', nvidia: 'RESET_GPU' },
  68: { means: 'error of the video decoder', action: 'engine', nvidia: 'RESTART_APP' },
  69: { means: 'class error in the graphics engine', action: 'engine', nvidia: 'RESTART_APP' },
  74: {
    means: 'NVLink error',
    action: 'replace',
    nvidia: 'WORKFLOW_NVLINK_ERR',
    doubt: 'the fault may be at the other end of the link, and a short one may mend itself',
  },
  79: { means: 'GPU has fallen off the bus', action: 'replace', nvidia: 'RESTART_BM' },
  92: { means: 'many memory errors that were corrected', action: 'none', nvidia: 'IGNORE' },
  94: {
    means: 'memory error that was contained',
    action: 'replace',
    nvidia: 'RESTART_APP',
    doubt: `only the application is hurt at once; ${rented}`,
  },
  95: { means: 'memory error that was not contained', action: 'replace', nvidia: 'RESET_GPU' },
  109: {
    means: 'context switch took too long',
    action: 'engine',
    nvidia: 'RESET_GPU',
    doubt:
      "NVIDIA's device plugin for Kubernetes counts it as an application's; a driver that wants a reset says so, too",
  },
  110: { means: 'security fault', action: 'replace', nvidia: 'RESET_GPU' },
  119: { means: "the GPU's own processor (GSP) does not answer", action: 'replace', nvidia: 'RESET_GPU' },
  120: { means: "error of the GPU's own processor (GSP)", action: 'replace', nvidia: 'RESET_GPU' },
  121: { means: 'link to the processor was corrected', action: 'none', nvidia: 'IGNORE' },
  136: { means: 'NVLink could not be brought up', action: 'replace', nvidia: 'RESET_GPU' },
  140: { means: 'memory error that cannot be recovered', action: 'replace', nvidia: 'RESET_GPU' },
  143: { means: 'GPU could not be initialized', action: 'replace', nvidia: 'RESET_GPU' },
  149: {
    means: 'NVLink error, fifth generation',
    action: 'none',
    nvidia: 'WORKFLOW_NVLINK5_ERR',
    doubt: 'its details decide and are not decoded here; a driver that wants a reset says so, too',
  },
  151: { means: 'key rotation failed', action: 'replace', nvidia: 'RESTART_VM' },
  154: {
    means: 'the driver changed what it asks for',
    action: 'replace',
    nvidia: 'XID_154',
    doubt: 'nothing, where it says `None`',
  },
  155: { means: 'NVLink error told by software', action: 'replace', nvidia: 'RESET_GPU' },
  156: { means: 'a part of the GPU is to be retired', action: 'replace', nvidia: 'RESET_GPU' },
  158: { means: 'fatal timeout of the GPU', action: 'replace', nvidia: 'RESET_GPU' },
}

/** What nvidia-smi shows of a GPU that is to be replaced, where it did not show that when the node joined. */
export const smiSigns = {
  lost: 'a GPU does not answer any more',
  recovery: 'the driver asks for a reset or a reboot',
  ecc: 'memory errors that could not be corrected',
  rows: 'memory waits for a reset to be remapped',
  rows_failed: 'memory could not be remapped',
  pages: 'memory waits for a reset to be retired',
} as const
export type SmiSign = keyof typeof smiSigns

/** As an agent tells it. `source` is `xid` or a sign of nvidia-smi; one that this version does not know is only shown. */
export interface ToldGpuFault {
  readonly source: string
  readonly xid: number | null
  /** The UUID. */
  readonly gpu: string | null
  /** The line that said so, as it was. */
  readonly evidence: string
}

export interface GpuFault extends ToldGpuFault {
  readonly toldAt: number
  /** Too many told of theirs at the same time: its machine is replaced when its turn comes. */
  readonly heldBack?: boolean
}

type Named = Pick<ToldGpuFault, 'source' | 'xid' | 'gpu'>

/** The same fault of the same GPU, however often it is told. */
export const isSameFault = (one: Named, other: Named): boolean =>
  one.source === other.source && one.xid === other.xid && one.gpu === other.gpu

const isSign = (source: string): source is SmiSign => Object.hasOwn(smiSigns, source)

// As the driver prints it: "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)".
const nothingAsked = /recovery action changed from .* to 0x0\b/i

export function actionOf({ source, xid, evidence }: ToldGpuFault): XidAction {
  if (source !== 'xid') return isSign(source) ? 'replace' : 'none'
  if (xid === 154 && nothingAsked.test(evidence)) return 'none'
  return xid === null ? 'none' : (xids[xid]?.action ?? 'none')
}

type Kept = ToldGpuFault & Pick<GpuFault, 'heldBack'>

const breaks = (fault: Kept): boolean => actionOf(fault) === 'replace' && fault.heldBack !== true

/** Whether the machine is not to be trusted with requests any more. */
export const isBroken = (faults: readonly Kept[]): boolean => faults.some(breaks)

export function faultText({ source, xid, gpu }: Named): string {
  const known = xid === null ? undefined : xids[xid]
  const what =
    source === 'xid' ? `XID ${xid} (${known?.means ?? 'not known here'})` : isSign(source) ? smiSigns[source] : source
  return gpu === null ? what : `${what}, ${gpu}`
}

/** Why a machine with these faults ends, with what was said of them; null where it need not end. */
export function gpuFailure(faults: readonly Kept[]): FailureRecord | null {
  const fatal = faults.filter(breaks)
  const [first] = fatal
  if (!first) return null
  const evidence = fatal.map((fault) => fault.evidence).join('\n')
  return failureRecord('gpu_fault', `A GPU of the machine is faulty: ${faultText(first)}.`, { evidence })
}

/** An address on the PCI bus as the kernel log and nvidia-smi both can be brought to: domain, bus and device. */
export function gpuAddress(text: string): string | null {
  const [, domain = '', rest] = /^0*([0-9a-f]{4,8}):([0-9a-f]{2}:[0-9a-f]{2})(?:\.[0-9a-f])?$/i.exec(text.trim()) ?? []
  return rest === undefined ? null : `${domain}:${rest}`.toLowerCase()
}

const xidLine = /NVRM: Xid \((?:PCI:)?([0-9a-f:.]+)\): (\d{1,5})\b/i

/** What a line of the kernel log says of a GPU, or null. */
export function readXid(line: string): { readonly address: string; readonly xid: number } | null {
  const [, where, number] = xidLine.exec(line) ?? []
  const address = where === undefined ? null : gpuAddress(where)
  return address === null ? null : { address, xid: Number(number) }
}
