import { gpuAddress, isSameFault, readXid, type SmiSign, type ToldGpuFault } from '../core/gpu-fault.ts'
import type { Gpu } from '../wire/agent.ts'
import { askSmi, type GpuSigns, type SmiAnswer, type SmiRow } from './hardware.ts'
import { type KernelLog, openKernelLog } from './kernel-log.ts'
import type { GpuAtJoin, NodeDisk } from './node-disk.ts'

export interface GpuWatchDeps {
  /** As they were told at the join or the start; without any nothing is watched. */
  readonly gpus: Gpu[]
  readonly env: NodeJS.ProcessEnv
  readonly disk: Pick<NodeDisk, 'gpuMemory' | 'saveGpuMemory'>
  /** Where the kernel's log is; null: where systems have it. */
  readonly kernelLog: string | null
  readonly say: (text: string) => void
  readonly onFault: () => void
}

const smiEveryMs = 15_000
const logEveryMs = 2_000
// One look that finds a GPU missing may have met a driver that is busy; the second one counts.
const secondLookMs = 2_000
// What a control plane takes of one machine.
const mostFaults = 16

/** Watches the GPUs of this node for faults that came after its join: by nvidia-smi, and by the kernel's log where it can be read. */
export class GpuWatch {
  readonly #deps: GpuWatchDeps
  readonly #timers: NodeJS.Timeout[] = []
  readonly #missed = new Set<string>()
  #log: KernelLog | null = null
  #gpus: Gpu[]
  #atJoin: readonly GpuAtJoin[]
  #faults: readonly ToldGpuFault[]
  #looking = false

  constructor(deps: GpuWatchDeps) {
    this.#deps = deps
    this.#gpus = deps.gpus
    const known = deps.disk.gpuMemory()
    this.#atJoin = known?.gpus ?? []
    this.#faults = known?.faults ?? []
    if (deps.gpus.length === 0 && !known) return
    this.#log = openKernelLog(deps.kernelLog, known?.log ?? null)
    if (!this.#log) deps.say("The kernel's log cannot be read: GPU faults are seen by nvidia-smi alone.")
    // The place in the log is the border between what was before us and what is ours.
    if (!known) this.#save()
  }

  get gpus(): Gpu[] {
    return this.#gpus
  }

  get faults(): ToldGpuFault[] {
    return [...this.#faults]
  }

  start(): void {
    if (this.#gpus.length === 0 && this.#atJoin.length === 0) return
    this.#timers.push(setInterval(() => void this.look(), smiEveryMs))
    this.#timers.push(setInterval(() => this.readLog(), logEveryMs))
    void this.look()
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  /** One look by nvidia-smi. */
  async look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const answer = await askSmi(this.#deps.env)
    this.#looking = false
    if (answer.rows.length > 0) this.#gpus = answer.rows.map(({ gpu }) => gpu)
    if (this.#atJoin.length === 0) this.#remember(answer.rows)
    for (const gpu of this.#atJoin) this.#compare(gpu, answer)
    this.readLog()
  }

  readLog(): void {
    try {
      for (const line of this.#log?.read() ?? []) this.#take(line)
    } catch (error) {
      this.#log = null
      this.#deps.say(`The kernel's log cannot be read any more: ${error instanceof Error ? error.message : error}`)
    }
  }

  #take(line: string): void {
    const said = readXid(line)
    const gpu = said && this.#atJoin.find(({ address }) => address === said.address)
    if (gpu) this.#add({ source: 'xid', xid: said.xid, gpu: gpu.uuid, evidence: line })
  }

  #remember(rows: readonly SmiRow[]): void {
    this.#atJoin = rows.flatMap(({ gpu: { uuid }, address, signs }) => (uuid === null ? [] : { uuid, address, signs }))
    if (this.#atJoin.length > 0) this.#save()
  }

  #compare(before: GpuAtJoin, { rows, failed }: SmiAnswer): void {
    const row = rows.find(({ gpu }) => gpu.uuid === before.uuid)
    if (!row) {
      this.#missing(before, rows, failed)
      return
    }
    this.#missed.delete(before.uuid)
    for (const [source, text] of newSigns(before.signs, row.signs))
      this.#add({ source, xid: null, gpu: before.uuid, evidence: `nvidia-smi: ${text}` })
  }

  /** Nvidia-smi that is absent, slow or of another version than the driver says nothing of a GPU. */
  #missing({ uuid, address }: GpuAtJoin, rows: readonly SmiRow[], failed: string | null): void {
    const said = failed === null ? null : lostLine(failed, address)
    if (failed !== null && said === null) return
    if (!this.#missed.has(uuid)) {
      this.#missed.add(uuid)
      this.#timers.push(setTimeout(() => void this.look(), secondLookMs))
      return
    }
    const evidence = said ?? `nvidia-smi lists ${rows.length} of ${this.#atJoin.length} GPUs; ${uuid} is missing`
    this.#add({ source: 'lost', xid: null, gpu: uuid, evidence })
  }

  #add(fault: ToldGpuFault): void {
    if (this.#faults.length >= mostFaults || this.#faults.some((known) => isSameFault(known, fault))) return
    const evidence = fault.evidence.trim().slice(0, 1_000)
    this.#faults = [...this.#faults, { ...fault, evidence }]
    this.#save()
    this.#deps.say(`GPU fault: ${evidence}`)
    this.#deps.onFault()
  }

  #save(): void {
    this.#deps.disk.saveGpuMemory({ gpus: this.#atJoin, log: this.#log?.place ?? null, faults: this.#faults })
  }
}

const flags = [
  ['pages', 'retired_pages.pending'],
  ['rows', 'remapped_rows.pending'],
  ['rows_failed', 'remapped_rows.failure'],
] as const

/** What is there now and was not at the join. Where the driver did not say then, it cannot be told what is new. */
function newSigns(before: GpuSigns, now: GpuSigns): (readonly [SmiSign, string])[] {
  const signs: (readonly [SmiSign, string])[] = []
  if (before.ecc !== null && now.ecc !== null && now.ecc > before.ecc)
    signs.push(['ecc', `ecc.errors.uncorrected.volatile.total ${now.ecc}, was ${before.ecc}`])
  for (const [sign, field] of flags) if (before[sign] === false && now[sign]) signs.push([sign, `${field} Yes, was No`])
  if (before.recovery === false && now.recovery)
    signs.push(['recovery', `gpu_recovery_action ${now.recovery}, was None`])
  return signs
}

const lostWords = /GPU is lost|unable to determine the device handle|no devices were found|fallen off the bus/i
const busId = /[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-9a-f])?/i

/** The line that says that this GPU is lost. One that names no GPU is about all of them. */
function lostLine(said: string, address: string | null): string | null {
  const about = (line: string): boolean => {
    const named = busId.exec(line)?.[0]
    return named === undefined || address === null || gpuAddress(named) === address
  }
  return said.split('\n').find((line) => lostWords.test(line) && about(line)) ?? null
}
