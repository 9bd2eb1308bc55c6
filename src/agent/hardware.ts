import { execFile } from 'node:child_process'
import { availableParallelism, hostname, totalmem } from 'node:os'
import { gpuAddress } from '../core/gpu-fault.ts'
import { heldGpus } from '../core/held-gpus.ts'
import type { Gpu, Hardware } from '../wire/agent.ts'

/** What nvidia-smi shows of a GPU's health; null: the driver does not say. */
export interface GpuSigns {
  /** Memory errors since the driver was loaded that could not be corrected. */
  readonly ecc: number | null
  readonly pages: boolean | null
  readonly rows: boolean | null
  readonly rows_failed: boolean | null
  /** What the driver asks for, in its word; false: nothing. */
  readonly recovery: string | false | null
}

export interface SmiRow {
  readonly gpu: Gpu
  /** On the PCI bus. */
  readonly address: string | null
  readonly signs: GpuSigns
}

export interface SmiAnswer {
  readonly rows: SmiRow[]
  /** What it said where it failed; null: it did not. */
  readonly failed: string | null
}

const fields = [
  ...['index', 'uuid', 'name', 'memory.total', 'utilization.gpu', 'memory.used', 'temperature.gpu', 'pci.bus_id'],
  ...['ecc.errors.uncorrected.volatile.total', 'retired_pages.pending'],
]
// Not every driver knows them; one that does not refuses the whole query.
const newerFields = ['remapped_rows.pending', 'remapped_rows.failure', 'gpu_recovery_action']
const unknownField = /Field "([^"]+)" is not a valid field/

/** Asks for the GPUs that the engine may use; none where there is no nvidia-smi, or where it does not answer in 5 s. */
export async function askSmi(env: NodeJS.ProcessEnv): Promise<SmiAnswer> {
  for (let asked = newerFields; ; ) {
    const { stdout, failed } = await runSmi([...fields, ...asked], env)
    const unknown = unknownField.exec(failed ?? '')?.[1]
    const rest = asked.filter((field) => field !== unknown)
    if (rest.length === asked.length) return { rows: oursOf(parseSmi(stdout, asked), env), failed }
    asked = rest
  }
}

function runSmi(query: readonly string[], env: NodeJS.ProcessEnv): Promise<{ stdout: string; failed: string | null }> {
  return new Promise((resolve) => {
    const args = [`--query-gpu=${query.join()}`, '--format=csv,noheader,nounits']
    execFile('nvidia-smi', args, { timeout: 5_000, killSignal: 'SIGKILL', env }, (error, stdout, stderr) => {
      resolve({ stdout, failed: error && (`${stdout}${stderr}`.trim() || error.message) })
    })
  })
}

export const readGpus = async (env: NodeJS.ProcessEnv): Promise<Gpu[]> => (await askSmi(env)).rows.map(({ gpu }) => gpu)

/** Lines of nvidia-smi's CSV. A figure that the driver does not have reads `[N/A]` and becomes null. */
export function parseSmi(csv: string, newer: readonly string[] = newerFields): SmiRow[] {
  return csv.split('\n').flatMap((line) => {
    const cells = line.split(',').map((field) => field.trim())
    const [index, uuid, name, memoryMib, used, memoryUsed, temperature, bus, ecc, pages, ...rest] = cells
    if (!name || !Number.isInteger(Number(index))) return []
    const cell = (field: string) => rest[newer.indexOf(field)]
    const gpu = {
      index: Number(index),
      uuid: uuid?.startsWith('GPU-') ? uuid.slice(0, 64) : null,
      name: name.slice(0, 128),
      memoryMib: figure(memoryMib) ?? 0,
      utilizationPercent: figure(used),
      memoryUsedMib: figure(memoryUsed),
      temperatureC: figure(temperature),
    }
    const signs = {
      ecc: figure(ecc),
      pages: answer(pages),
      rows: answer(cell('remapped_rows.pending')),
      rows_failed: answer(cell('remapped_rows.failure')),
      recovery: wish(cell('gpu_recovery_action')),
    }
    return { gpu, address: gpuAddress(bus ?? ''), signs }
  })
}

const answer = (text: string | undefined): boolean | null => (text === 'Yes' ? true : text === 'No' ? false : null)

/** `None`, `Reset`, `Reboot`, `Drain P2P`, `Drain and Reset`; in brackets where the driver cannot say. */
function wish(text: string | undefined): string | false | null {
  if (!text || text.includes('[') || text === 'N/A') return null
  return text === 'None' ? false : text.slice(0, 64)
}

function figure(text: string | undefined): number | null {
  const value = Number(text)
  return text && Number.isFinite(value) ? value : null
}

/** Those that the machine was given, where its host told it so; an index may be another GPU's after a restart of the host. */
function oursOf(rows: SmiRow[], env: NodeJS.ProcessEnv): SmiRow[] {
  const held = heldGpus(env)
  if (held.length === 0) return visibleGpus(rows, env['CUDA_VISIBLE_DEVICES'])
  return rows.filter(({ gpu: { uuid } }) => uuid !== null && held.includes(uuid))
}

/** CUDA's own rule: the list ends at the first entry that is no device. Parts of one GPU cannot be told apart here: all count. */
export function visibleGpus(rows: SmiRow[], visible: string | undefined): SmiRow[] {
  if (visible === undefined || visible.includes('MIG-')) return rows
  const wanted: SmiRow[] = []
  for (const word of visible.split(',').map((word) => word.trim())) {
    const row = rows.find(({ gpu: { index, uuid } }) => isNamed(word, index, uuid))
    if (!row) break
    wanted.push(row)
  }
  return wanted
}

/** A UUID may be cut short. */
const isNamed = (word: string, index: number, uuid: string | null): boolean =>
  word.startsWith('GPU-') ? uuid?.startsWith(word) === true : /^\d+$/.test(word) && index === Number(word)

export async function readHardware(env: NodeJS.ProcessEnv): Promise<Hardware> {
  return {
    hostname: hostname().slice(0, 255),
    cpus: availableParallelism(),
    memoryMib: Math.floor(totalmem() / 1024 / 1024),
    gpus: await readGpus(env),
    instanceType: null,
  }
}
