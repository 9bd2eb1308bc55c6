import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ToldGpuFault } from '../core/gpu-fault.ts'
import { codeOf } from '../lib/error-code.ts'
import type { EngineSpec, JoinReply, ProgressReport } from '../wire/agent.ts'
import type { GpuSigns } from './hardware.ts'
import type { LogPlace } from './kernel-log.ts'

/** All that a join told, without the secrets; its file being there means that the join is done. */
export type Joined = Omit<JoinReply, 'secrets'>

/** The engine as it was started. Without this record nothing counts as started. */
export interface EngineRecord {
  readonly pid: number
  /** Leader of its own group, so this is the pid; kept apart because the loop signals the group. */
  readonly group: number
  readonly startTime: string
  readonly port: number
  /** Epoch ms. */
  readonly startedAt: number
  /** Where this run begins in engine.log. */
  readonly logOffset: number
  /** Epoch ms of the first good answer of this run; null before. */
  readonly answeredAt: number | null
}

// Seen with a real vLLM: told to end while it starts, it never does, however long it is waited for.
const startingGraceMs = 2_000

/** SIGTERM to SIGKILL for this run of the engine. One that has not served yet has nothing to finish. */
export function graceMsOf(record: EngineRecord, spec: Pick<EngineSpec, 'stopGraceMs'>): number {
  return record.answeredAt === null ? Math.min(startingGraceMs, spec.stopGraceMs) : spec.stopGraceMs
}

/** What outlives both engine and agent: how often the engine was restarted, and its final failure. */
export interface EngineHistory {
  readonly everServed: boolean
  readonly restarts: number
  /** Epoch ms of the restarts that still count. */
  readonly recentRestarts: readonly number[]
  readonly failure: JsonFailure | null
}

export type JsonFailure = NonNullable<ProgressReport['failure']>

export interface LeaseRecord {
  /** Epoch ms of the last authenticated word. */
  readonly renewedAt: number
  readonly leaseMs: number
  /** The one extra chance to be heard after a restart was taken. */
  readonly graceTaken: boolean
}

export type Gateways = JoinReply['gateways']

/** Since the join, over all lives of the agent. */
export interface LoadRecord {
  readonly requests: number
  readonly busyMs: number
}

export interface LogMark {
  /** Bytes of engine.log whose lines the control plane has. */
  readonly offset: number
  readonly nextLine: number
}

/** A GPU as it was when the node joined: what was wrong with it then is not news. */
export interface GpuAtJoin {
  readonly uuid: string
  readonly address: string | null
  readonly signs: GpuSigns
}

export interface GpuMemory {
  readonly gpus: readonly GpuAtJoin[]
  readonly log: LogPlace | null
  readonly faults: readonly ToldGpuFault[]
}

/** The node's folder: everything that a restarted agent goes on from. */
export class NodeDisk {
  readonly dir: string
  #lastTrouble = ''

  constructor(dir: string) {
    this.dir = dir
    mkdirSync(dir, { recursive: true, mode: 0o700 })
  }

  path(name: string): string {
    return join(this.dir, name)
  }

  get engineLog(): string {
    return this.path('engine.log')
  }

  readText(name: string): string | null {
    return readOrNull(this.path(name))
  }

  /** Made once for the life of this disk: it lets the control plane tell a repeated join from a second one. */
  instance(make: () => string): string {
    const known = this.readText('instance')
    if (known) return known
    const made = make()
    writeWhole(this.path('instance'), made)
    return made
  }

  /** The start of the agent that was last accepted, then those after it of which nobody knows; oldest first. */
  incarnations(): string[] {
    return this.readText('incarnation')?.split('\n') ?? []
  }

  saveIncarnations(incarnations: readonly string[]): void {
    this.#tryWrite('incarnation', incarnations.join('\n'), 'durable')
  }

  /** Secrets go first: the credential's file is what says that the join is complete. */
  saveJoin(reply: JoinReply): void {
    const { secrets, ...joined } = reply
    writeWhole(this.path('secrets.json'), JSON.stringify(secrets))
    writeWhole(this.path('credential.json'), JSON.stringify(joined))
  }

  joined(): Joined | null {
    return this.#readJson<Joined>('credential.json')
  }

  /** The latest list, so that a restart finds the gateways although the control plane is away. */
  saveGateways(gateways: Gateways): void {
    this.#tryWrite('gateways.json', JSON.stringify(gateways), 'fast')
  }

  gateways(): Gateways | null {
    return this.#readJson<Gateways>('gateways.json')
  }

  saveLoad(load: LoadRecord): void {
    this.#tryWrite('load.json', JSON.stringify(load), 'fast')
  }

  load(): LoadRecord {
    return this.#readJson<LoadRecord>('load.json') ?? { requests: 0, busyMs: 0 }
  }

  secrets(): Record<string, string> {
    return this.#readJson<Record<string, string>>('secrets.json') ?? {}
  }

  /** engine.pid is the same record for the loop, which is a shell script: group, start time, grace in seconds. */
  saveEngine(record: EngineRecord, spec: EngineSpec): void {
    const graceS = Math.ceil(graceMsOf(record, spec) / 1000)
    writeWhole(this.path('engine.pid'), `${record.group} ${record.startTime} ${graceS}\n`)
    writeWhole(this.path('engine.json'), JSON.stringify(record))
  }

  engine(): EngineRecord | null {
    return this.#readJson<EngineRecord>('engine.json')
  }

  forgetEngine(): void {
    rmSync(this.path('engine.json'), { force: true })
    rmSync(this.path('engine.pid'), { force: true })
  }

  saveHistory(history: EngineHistory): void {
    this.#tryWrite('history.json', JSON.stringify(history), 'durable')
  }

  history(): EngineHistory {
    const fresh = { everServed: false, restarts: 0, recentRestarts: [], failure: null }
    return this.#readJson<EngineHistory>('history.json') ?? fresh
  }

  saveLease(record: LeaseRecord): void {
    this.#tryWrite('lease.json', JSON.stringify(record), 'fast')
  }

  lease(): LeaseRecord | null {
    return this.#readJson<LeaseRecord>('lease.json')
  }

  /** The control plane was told of a signal that ends this machine; who starts after it takes that back. */
  saveToldOfSignal(told: boolean): void {
    if (told) this.#tryWrite('told-of-signal', 'yes', 'fast')
    else rmSync(this.path('told-of-signal'), { force: true })
  }

  wasToldOfSignal(): boolean {
    return this.readText('told-of-signal') !== null
  }

  saveGpuMemory(memory: GpuMemory): void {
    this.#tryWrite('gpus.json', JSON.stringify(memory), 'durable')
  }

  gpuMemory(): GpuMemory | null {
    return this.#readJson<GpuMemory>('gpus.json')
  }

  /** Says to the loop that requests in flight are finished first. */
  markLeaving(): void {
    this.#tryWrite('leaving', 'yes', 'fast')
  }

  saveLogMark(mark: LogMark): void {
    this.#tryWrite('log-mark.json', JSON.stringify(mark), 'fast')
  }

  logMark(): LogMark {
    return this.#readJson<LogMark>('log-mark.json') ?? { offset: 0, nextLine: 0 }
  }

  /** For what a node can do without: a full disk must not take down an agent whose engine still serves. */
  #tryWrite(name: string, text: string, how: 'durable' | 'fast'): void {
    try {
      writeWhole(this.path(name), text, how)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      if (why !== this.#lastTrouble) process.stderr.write(`${name} could not be written: ${why}\n`)
      this.#lastTrouble = why
    }
  }

  #readJson<T>(name: string): T | null {
    const text = this.readText(name)
    return text ? (JSON.parse(text) as T) : null
  }
}

/** Whole or not at all, readable by us only. `fast` skips the wait for the disk: what may be lost with the machine. */
function writeWhole(path: string, text: string, how: 'durable' | 'fast' = 'durable'): void {
  const partial = `${path}.new`
  const file = openSync(partial, 'w', 0o600)
  try {
    writeSync(file, text)
    if (how === 'durable') fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(partial, path)
  if (how === 'durable') syncFolder(dirname(path))
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}
