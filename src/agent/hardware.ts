import { execFile } from 'node:child_process'
import { availableParallelism, hostname, totalmem } from 'node:os'
import { heldGpus } from '../core/held-gpus.ts'
import type { Gpu, Hardware } from '../wire/agent.ts'

const query = 'index,uuid,name,memory.total,utilization.gpu,memory.used,temperature.gpu'

/** The GPUs that the engine may use; none where there is no nvidia-smi, or where it does not answer in 5 s. */
export function readGpus(env: NodeJS.ProcessEnv): Promise<Gpu[]> {
  return new Promise((resolve) => {
    const args = [`--query-gpu=${query}`, '--format=csv,noheader,nounits']
    execFile('nvidia-smi', args, { timeout: 5_000, killSignal: 'SIGKILL', env }, (error, stdout) => {
      resolve(error ? [] : oursOf(parseGpus(stdout), env))
    })
  })
}

/** Lines of nvidia-smi's CSV. A figure that the driver does not have reads `[N/A]` and becomes null. */
export function parseGpus(csv: string): Gpu[] {
  return csv.split('\n').flatMap((line) => {
    const [index, uuid, name, memoryMib, used, memoryUsed, temperature] = line.split(',').map((field) => field.trim())
    if (!name || !Number.isInteger(Number(index))) return []
    return {
      index: Number(index),
      uuid: uuid?.startsWith('GPU-') ? uuid.slice(0, 64) : null,
      name: name.slice(0, 128),
      memoryMib: figure(memoryMib) ?? 0,
      utilizationPercent: figure(used),
      memoryUsedMib: figure(memoryUsed),
      temperatureC: figure(temperature),
    }
  })
}

function figure(text: string | undefined): number | null {
  const value = Number(text)
  return text && Number.isFinite(value) ? value : null
}

/** Those that the machine was given, where its host told it so; an index may be another GPU's after a restart of the host. */
function oursOf(gpus: Gpu[], env: NodeJS.ProcessEnv): Gpu[] {
  const held = heldGpus(env)
  if (held.length === 0) return visibleGpus(gpus, env['CUDA_VISIBLE_DEVICES'])
  return gpus.filter(({ uuid }) => uuid !== null && held.includes(uuid))
}

/** CUDA's own rule: the list ends at the first entry that is no device. Parts of one GPU cannot be told apart here: all count. */
export function visibleGpus(gpus: Gpu[], visible: string | undefined): Gpu[] {
  if (visible === undefined || visible.includes('MIG-')) return gpus
  const wanted: Gpu[] = []
  for (const word of visible.split(',').map((word) => word.trim())) {
    const gpu = gpus.find(({ index, uuid }) => isNamed(word, index, uuid))
    if (!gpu) break
    wanted.push(gpu)
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
